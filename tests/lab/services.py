"""What stands around the nodes: sshd, the DNS server, the certificate
authority. All real ones, with configurations of their own."""

import os
import pwd
import re
import shutil
import subprocess

import machine
from machine import LabError


def run(*command, **more):
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise LabError("%s: %s" % (command[0], done.stderr.strip()))
    return done.stdout


def write(path, text, mode=0o600):
    with open(path, "w") as out:
        os.fchmod(out.fileno(), mode)
        out.write(text)


# SSH

RUN_SSHD_MODE = 0o711

SSHD = """\
ListenAddress %(address)s:%(port)d
HostKey %(root)s/ssh_host_key
PidFile none
AuthorizedKeysFile %(dir)s/ssh_key.pub
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM %(pam)s
PrintMotd no
PrintLastLog no
AllowTcpForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitUserRC no
MaxSessions 50
SetEnv HOME=%(dir)s/home
Subsystem sftp internal-sftp -d %(root)s/pki
ForceCommand %(mmp)s --root %(root)s
"""

SSH = """\
Host %(name)s
	HostName %(address)s
	Port %(port)d
	User %(user)s
	IdentityFile %(dir)s/ssh_key
	IdentitiesOnly yes
	UserKnownHostsFile %(dir)s/known_hosts
	StrictHostKeyChecking yes
	ControlPath %(dir)s/ssh-%%n
	LogLevel ERROR
"""


# HOME: an appliance's administrator has no start-up files of a machine's root,
# and leaves no history among them.


def user():
    return pwd.getpwuid(os.geteuid()).pw_name


def is_locked():
    """Without PAM, sshd refuses an account whose password field says '!'."""
    try:
        with open("/etc/shadow") as shadow:
            for line in shadow:
                if line.startswith(user() + ":"):
                    return line.split(":")[1].startswith("!")
    except OSError:
        pass
    return False


def make_ssh(lab):
    """The key that the lab logs in with, and a client configuration."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab",
        "-f", lab.path("ssh_key"))
    run("puttygen", lab.path("ssh_key"), "-O", "private", "-o",
        lab.path("ssh_key.ppk"))
    config, known = "", ""
    for node in lab.nodes:
        key = node.path("ssh_host_key")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", node.name,
            "-f", key)
        host = node.address
        if lab.ssh_port != 22:
            host = "[%s]:%d" % (node.address, lab.ssh_port)
        known += "%s %s" % (host, open(key + ".pub").read())
        config += SSH % {
            "name": node.name, "address": node.address, "dir": lab.dir,
            "port": lab.ssh_port, "user": user()}
    write(lab.path("known_hosts"), known)
    write(lab.path("ssh_config"), config)


def make_run_sshd():
    """sshd wants this folder; by its mode one that a lab has made is known."""
    if os.geteuid() == 0 and not os.path.isdir("/run/sshd"):
        os.mkdir("/run/sshd")
        os.chmod("/run/sshd", RUN_SSHD_MODE)


def remove_run_sshd():
    """By the last lab, and not while another's sshd uses it."""
    try:
        if os.stat("/run/sshd").st_mode & 0o777 == RUN_SSHD_MODE and \
                not machine.runs("sshd"):
            os.rmdir("/run/sshd")
    except OSError:
        pass  # not there, or not ours


def start_sshd(lab, node):
    write(node.path("sshd_config"), SSHD % {
        "address": node.address, "port": lab.ssh_port, "root": node.root,
        "dir": lab.dir, "mmp": lab.program("mmp"),
        "pam": "yes" if is_locked() else "no"})
    make_run_sshd()
    return machine.spawn(
        ["/usr/sbin/sshd", "-D", "-e", "-f", node.path("sshd_config")],
        node.path("sshd.log"))


# DNS

NSD = """\
server:
	ip-address: %(address)s@%(port)d
	username: ""
	chroot: ""
	database: ""
	zonesdir: "%(dir)s"
	pidfile: ""
	xfrdfile: "%(dir)s/xfrd.state"
	zonelistfile: "%(dir)s/zone.list"
	server-count: 1
	hide-version: yes
remote-control:
	control-enable: no
zone:
	name: "%(domain)s"
	zonefile: "%(domain)s.zone"
"""

ZONE = """\
$ORIGIN %s.
$TTL 86400
@ IN SOA ns hostmaster 1 3600 900 604800 60
@ IN NS ns
ns IN A %s
"""


def make_dns(lab):
    zone = ZONE % (lab.domain, lab.dns_address)
    for node in lab.nodes:
        zone += "_xmpp-component._tcp IN SRV 0 0 5223 %s\n" % node.name
        zone += "_xmpp-client._tcp IN SRV 10 50 5222 %s\n" % node.name
        zone += "%s IN A %s\n" % (node.name, node.address)
    os.makedirs(lab.path("dns"), exist_ok=True)
    write(lab.path("dns/%s.zone" % lab.domain), zone)
    write(lab.path("dns/nsd.conf"), NSD % {
        "address": lab.dns_address, "port": lab.dns_port,
        "dir": lab.path("dns"), "domain": lab.domain})


def start_dns(lab):
    return machine.spawn(
        ["/usr/sbin/nsd", "-d", "-c", lab.path("dns/nsd.conf")],
        lab.path("dns/nsd.log"))


# The certificate authority: a root, an intermediate, and the signing of the
# requests that administrators bring.

def make_ca(lab):
    ca = lab.path("ca")
    os.makedirs(ca)
    for name, subject in (("root", "/O=Lab/CN=Lab Root CA"),
                          ("issuing", "/O=Lab/CN=Lab Issuing CA")):
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
            "-keyout", "%s/%s.key" % (ca, name), "-out",
            "%s/%s.csr" % (ca, name))
    write(ca + "/ca.ext", "basicConstraints=critical,CA:TRUE\n"
          "keyUsage=critical,keyCertSign,cRLSign\n"
          "subjectKeyIdentifier=hash\n")
    run("openssl", "x509", "-req", "-in", ca + "/root.csr", "-signkey",
        ca + "/root.key", "-days", "3650", "-extfile", ca + "/ca.ext",
        "-out", ca + "/root.pem")
    run("openssl", "x509", "-req", "-in", ca + "/issuing.csr", "-CA",
        ca + "/root.pem", "-CAkey", ca + "/root.key", "-CAcreateserial",
        "-days", "3650", "-extfile", ca + "/ca.ext", "-out",
        ca + "/issuing.pem")
    # Clients want one file, profanity a folder with OpenSSL's hashed names.
    os.makedirs(lab.path("trust"))
    shutil.copy(ca + "/root.pem", lab.path("trust/lab-root.pem"))
    run("openssl", "rehash", lab.path("trust"))


def bundle(lab):
    """Intermediates first, root last."""
    return (open(lab.path("ca/issuing.pem")).read() +
            open(lab.path("ca/root.pem")).read())


def sign(lab, csr, out, days=825):
    """Signs the request in a file as an ordinary CA does."""
    ca = lab.path("ca")
    run("openssl", "x509", "-req", "-in", csr, "-CA", ca + "/issuing.pem",
        "-CAkey", ca + "/issuing.key", "-CAcreateserial", "-days", str(days),
        "-copy_extensions", "copyall", "-out", out)


def fingerprint(path):
    """What PuTTY's tools want to know of a host: 'SHA256:...'."""
    shown = run("ssh-keygen", "-l", "-f", path)
    return re.search(r"SHA256:\S+", shown).group(0)
