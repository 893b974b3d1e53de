#!/usr/bin/env python3
"""An executable model of the rules of delivery(7).

It looks for flaws in the rules, not in code. Three nodes, each with an edge (its clients' sessions) and a router that
is active on the leader only. A schedule is a list of small steps drawn from a seed; everything between two steps is
atomic. A failing schedule is shrunk by dropping steps. What stands for what:

  Edge.unacked, low()      rules 1, 4: origin (node, incarnation), number, lowest number not yet acknowledged
  Edge.accepted            rules 1, 4: what this edge accepted, by (key, target session)
  Store.applied            rule 1: the store's set of applied (origin, number), pruned by low-water marks
  Router.jobs              rule 6: a frame is acknowledged once all that came of it is accepted or committed
  Edge.announce            rule 4: sessions, accepted, then the unacknowledged frames again
  Router.take_copy, begin  rule 8: the newest copy of the sessions, complete if a majority of complete ones was merged
  Directory, mirror        rule 8: the sessions, mirrored as numbered events; results wait for a majority
  Router.perhaps_held      rule 9: nothing is done for users of whom the directory may not know
  Router.unsettled         rule 9: what needs to know what others accepted waits for them, or for `grace`
  Router.state_of, expire  rules 9, 11: held sessions; they are gone after hold plus margin
  Edge.expire              rules 11, 13: a node without a leader closes its streams after `hold`
  World.elect              Raft: atomic log, any connected majority elects at any moment; the lease ends first, or, with
                           --overlap, the old router goes on for less than the margin (term checks must save us)

Each rule has a switch in RULES: on, the rule of delivery(7); off (--without NAME, or --as-written for all), what is
natural to do in its stead, and wrong or slow. Clients have no XEP-0198: a stanza accepted by an edge counts as
delivered. Clocks run at one speed; channels have any delay. Every user is everyone's contact, or (`strangers`) nobody.
A quarter of the schedules are bred from those made by hand (delivery_tales.py). Not modelled: windows and limits,
priorities, directed presence, rosters, components, more than three nodes, torn disks.
"""
import argparse
import copy
import random
import sys
import time

from delivery_tales import TALES

N, MAJORITY, HOLD, MARGIN, GRACE = 3, 2, 3, 1, 1
USERS, RESOURCES = ("ann", "bob"), ("x", "y")
RULES = {
    "merge": "a new leader takes the newest directory of a majority, not merely its own",
    "counted": "a session is a target, and its user online, only once a majority has its bind",
    "pair_order": "a frame waits for earlier unfinished frames of its sender to the same user",
    "behind_rows": "a live message waits while its user has stored rows and a session to take them",
    "row_ids": "a handed-out message is named by its store row, not by the cause's number and an ordinal",
    "forget_all": "each edge is told that a row is deleted, not only the one that it was last handed to",
    "row_dropped": "once a row's deletion is committed nothing that hands it out is sent again",
    "gone_ids": "a session's end is named by the session, whatever caused it, not by (number) or (term, counter)",
    "gone_once": "a session whose end some edge reports as told has ended",
    "probe_ids": "an answer to a probe is named by the session it tells of, not by an ordinal",
    "later_done": "a frame counts as done for a session that accepted a later one of the same sender",
    "new_origin": "an edge that closed its streams starts a new incarnation and drops what is unacknowledged",
    "end_origin": "memories of an origin that has ended are dropped",
    "echo_hold": "an edge counts `hold` from the sending of its newest ping that was answered",
    "stale_bind": "a resent bind of a session that its edge no longer announces has no effect",
    "announce_binding": "sessions whose bind has no answer yet are announced too",
    "bind_waits": "a full JID is given anew only when the edge of the old session confirmed its end",
    "hold_unknown": "without a complete directory all users may be held until each node announced or its hold ended",
    "at_once": "with a complete directory new messages and binds don't wait for nodes not heard from",
    "grace": "with a complete directory resent messages and rows wait until each node announced, or `grace` is over",
    "full_waits": "even a resent message to a full address whose edge has announced waits so",
    "whole": "a directory begun from incomplete copies is complete only once each node announced or its hold ended",
    "all_copies": "a new leader without complete copies of a majority waits for those of all, or the end of their hold",
    "sent_once": "a frame that was never put on a link is not marked as resent",
    "term_check": "edges and passive routers refuse a lower term than their node has seen",
}


class Session:
    def __init__(self, sid, user, full, node, born):
        self.sid, self.user, self.full, self.node, self.born = sid, user, full, node, born
        self.bound, self.ended, self.inbox = None, None, []      # inbox: what the client saw, in order


class Directory:
    """The mirrored session table: sid -> (user, full, origin). (term, seq) says how new it is."""
    def __init__(self):
        self.term, self.seq, self.entries, self.complete = 0, 0, {}, False


class Store:
    """The replicated state. One copy: the log is linearizable and a new leader's barrier shows it all."""
    def __init__(self):
        self.rows, self.next_row, self.applied = {}, 1, {}  # rows: id -> (user, msg)
                                                            # applied: (origin, num) -> (sending session, user)

    def apply(self, command):
        what = command[0]
        if what == "store":
            _, origin, num, sender, user, msg, low = command
            if (origin, num) not in self.applied:
                self.applied[origin, num] = sender, user
                self.rows[self.next_row] = (user, msg)
                self.next_row += 1
            self.prune(origin, low)
        elif what == "delete":
            self.rows.pop(command[1], None)
        elif what == "prune":
            self.prune(command[1], command[2])

    def prune(self, origin, low):
        for key in [k for k in self.applied if k[0] == origin and k[1] < low]:
            del self.applied[key]


class Edge:
    """Connections of one node. Talks to at most one router, over world.up / world.down channels."""
    def __init__(self, world, node):
        self.world, self.node = world, node
        self.term, self.link, self.sessions, self.accepted = 0, None, {}, {}
        self.last_ok = world.now
        self.new_incarnation()

    def new_incarnation(self):
        self.origin = (self.node, self.world.fresh())
        self.next_num, self.unacked, self.sent = 1, {}, set()    # sent: those of unacked that were put on a link

    def low(self):
        return min(self.unacked, default=self.next_num)

    def send(self, message):
        if self.link is not None:
            self.world.up[self.node].append(message)

    def client_frame(self, session, kind, **more):
        frame = dict(more, kind=kind, sid=session.sid, origin=self.origin, num=self.next_num)
        self.unacked[self.next_num] = frame
        self.next_num += 1
        self.send_frame(frame)

    def send_frame(self, frame):
        self.send(("frame", frame, self.low(), frame["num"] in self.sent))
        if self.link is not None or not self.world.rules["sent_once"]:
            self.sent.add(frame["num"])

    def ping(self):
        self.send(("ping", self.world.now, self.origin, self.low()))

    def announce(self):
        shown = {s.sid: (s.user, s.full, self.origin) for s in self.sessions.values()
                 if s.bound is not None or self.world.rules["announce_binding"]}
        self.send(("announce", self.origin, self.low(), shown, copy.deepcopy(self.accepted)))
        for num in sorted(self.unacked):
            self.send_frame(self.unacked[num])
        self.ping()

    def end(self, session):
        session.ended = self.world.clock
        del self.sessions[session.sid]
        self.client_frame(session, "logout")

    def expire(self):
        if self.world.now - self.last_ok < HOLD:
            return
        if self.sessions:
            self.world.failed.add(self.node)
        if self.link is not None:
            self.world.unlink(self.node)
        for session in list(self.sessions.values()):
            self.end(session)
        if self.world.rules["new_origin"]:
            if self.unacked:
                self.world.failed.add(self.node)
            self.new_incarnation()
        self.last_ok = self.world.now

    def receive(self, term, message):
        rules = self.world.rules
        if term < self.term and rules["term_check"]:
            return
        self.term = max(term, self.term)
        what = message[0]
        if not rules["echo_hold"]:
            self.last_ok = self.world.now
        if what == "deliver":
            self.accept(*message[1:])
        elif what == "ack":
            if message[1] == self.origin:
                self.unacked.pop(message[2], None)
                self.sent.discard(message[2])
        elif what == "kick":
            if message[1] in self.sessions:
                self.end(self.sessions[message[1]])
        elif what == "forget":
            self.accepted.pop(message[1], None)
        elif what == "pong":
            self.last_ok = max(self.last_ok, message[1])
            for key in list(self.accepted):
                if key[0] == "frame" and key[1] in message[2]:
                    if key[2] < message[2][key[1]]:
                        del self.accepted[key]
                elif key[0] == "frame" and message[3] and rules["end_origin"]:
                    del self.accepted[key]
                elif key[0] == "term" and key[1] < term:
                    del self.accepted[key]

    def accept(self, key, sid, sender, payload, low):
        for old in [k for k in self.accepted if low and k[0] == "frame" and k[1] == low[0] and k[2] < low[1]]:
            del self.accepted[old]
        done = sid in self.accepted.get(key, {})
        if not done and self.world.rules["later_done"] and payload[0] == "message":
            done = later_accepted(self.accepted, key, sid, sender)
        if not done and sid not in self.sessions:
            self.send(("refused", key, sid))
            return
        if not done:
            session = self.sessions[sid]
            if payload[0] == "bound":
                session.bound = self.world.clock
            session.inbox.append(payload)
            to = self.world.messages[payload[1]]["user"] if payload[0] in ("message", "bounce") else None   # bare
            self.accepted.setdefault(key, {})[sid] = (sender, payload[0], to)
        self.send(("accepted", key, sid))


def later_accepted(accepted, key, sid, sender):
    return key[0] == "frame" and any(
        k[0] == "frame" and k[1] == key[1] and k[2] > key[2] and targets.get(sid, ())[:2] == (sender, "message")
        for k, targets in accepted.items())


class Router:
    """The active router of one term."""
    def __init__(self, world, node, term):
        self.world, self.node, self.term = world, node, term
        self.directory = world.directories[node]      # its own copy, until it begins with the merged one
        self.copies = {}                              # node -> what was merged
        self.started, self.in_grace = world.now, True
        self.began, self.began_at = None, None        # when it began to take links: world.now, world.clock
        self.heard = {n: world.now for n in range(N)}
        self.origin_of, self.dead = {}, set()         # node -> origin announced in this term; nodes given up
        self.ready = {}                               # node -> sessions it announced on its present link
        self.reports, self.low, self.finished = {}, {}, set()
        self.jobs, self.ends, self.handing = {}, {}, {}
        self.outbox = {n: {} for n in range(N)}       # node -> {(key, sid): message} not yet accepted, in order
        self.mirrored, self.base = {n: -1 for n in range(N)}, 0
        self.added = {}                               # sessions whose bind this router mirrored: sid -> seq
        self.proposed, self.storing, self.counter = set(), set(), 0

    # -- the directory
    def take_copy(self, node):
        self.copies[node] = self.world.directories[node]
        self.world.promised[node] = self.term
        self.world.cut_mirror(node)

    def is_complete(self):
        return sum(c.complete for c in self.copies.values()) >= MAJORITY

    def may_begin(self):
        missing = [n for n in range(N) if n not in self.copies]
        return len(self.copies) >= MAJORITY and (
            self.is_complete() or not self.world.rules["all_copies"]
            or all(self.world.now - self.heard[n] >= HOLD + MARGIN for n in missing))

    def begin(self):
        """Starts from the newest copy, of the complete ones if these are a majority."""
        complete = self.is_complete()
        self.world.lost_directory |= not complete
        newest = max([c for c in self.copies.values() if c.complete or not complete], key=lambda c: (c.term, c.seq))
        if not self.world.rules["merge"]:
            newest = self.directory
        self.directory = self.world.directories[self.node] = Directory()
        self.directory.term, self.directory.seq, self.directory.entries = self.term, newest.seq, dict(newest.entries)
        self.directory.complete = complete or not self.world.rules["whole"]
        self.began, self.began_at, self.base = self.world.now, self.world.clock, self.directory.seq

    # -- out
    def send(self, node, message):
        if node in self.ready:
            self.world.down[node].append((self.term, message))

    def deliver(self, key, sid, payload, sender=None, low=None):
        node = sid[0]
        message = ("deliver", key, sid, sender, payload, low)
        self.outbox[node][key, sid] = message
        self.send(node, message)

    def propose(self, command):
        if command not in self.proposed:
            self.proposed.add(command)
            self.world.proposals.append((self.term, command))

    def event(self, sid, entry):
        directory = self.directory
        directory.seq += 1
        if entry is None:
            directory.entries.pop(sid, None)
        else:
            self.added[sid] = directory.seq
            directory.entries[sid] = entry
        self.to_mirrors(("event", directory.seq, sid, entry))
        return directory.seq

    def to_mirrors(self, message):
        for node in [n for n in range(N) if self.world.mirror_of[n] is self]:
            self.world.mirror[node].append((self.term, message))

    def has_majority(self, seq):
        return 1 + sum(self.mirrored[n] >= seq for n in range(N) if n != self.node) >= MAJORITY

    # -- in
    def state_of(self, sid):
        """live, held, or None: this router has no such session."""
        entry = self.directory.entries.get(sid)
        if entry is None or sid in self.ends:
            return None
        return "live" if self.origin_of.get(sid[0]) == entry[2] and sid[0] in self.ready else "held"

    def receive(self, node, message):
        self.heard[node] = self.world.now
        what = message[0]
        if what == "announce":
            self.announced(node, *message[1:])
        elif node not in self.ready:
            return
        elif what == "frame":
            self.frame(*message[1:])
        elif what == "ping":
            self.low[message[2]] = message[3]
            settled = not self.unheard()
            busy = {j["frame"]["origin"]: 0 for j in self.jobs.values()}
            self.send(node, ("pong", message[1], {**busy, **self.low}, settled))
        elif what == "accepted":
            self.accepted(message[1], message[2])
        elif what == "refused":
            self.outbox[node].pop((message[1], message[2]), None)
            for row in [r for r, (key, sid) in self.handing.items() if (key, sid) == (message[1], message[2])]:
                del self.handing[row]
            job = self.jobs.get(message[1][1:]) if message[1][0] == "frame" else None
            if job:
                job["sent"].pop(message[2], None)
                job["refused"].add(message[2])
        self.advance()

    def announced(self, node, origin, low, shown, accepted):
        old = self.origin_of.get(node)
        self.origin_of[node], self.low[origin], self.ready[node] = origin, low, shown
        for job in self.jobs.values():
            job["kicked"] = set()
        self.dead.discard(node)
        if old not in (None, origin):
            self.end_origin(old)
        for message in list(self.outbox[node].values()):
            self.send(node, message)
        for sid, (_, _, session_origin) in list(self.directory.entries.items()):
            if sid[0] == node and sid not in shown:
                self.end_session(sid)
        for sid, entry in shown.items():
            if sid not in self.directory.entries and sid not in self.ends and not self.login_is_due(sid, accepted):
                self.event(sid, entry)
        for key in accepted:
            if key[0] == "gone" and key[1] in self.directory.entries and self.world.rules["gone_once"]:
                self.end_session(key[1])
        for key, targets in accepted.items():
            self.reports.setdefault(key, {}).update(targets)
            for sid in targets:
                self.accepted(key, sid)

    def login_is_due(self, sid, accepted):
        """Whether the session has no bind result yet: its login frame follows."""
        return not any(t.get(sid, (0, 0, 0))[1] == "bound" for t in accepted.values()) and \
            self.world.sessions[sid].bound is None

    def end_origin(self, origin):
        self.low.pop(origin, None)

    def accepted(self, key, sid):
        self.outbox[sid[0]].pop((key, sid), None)
        if key[0] == "frame" and key[1:] in self.jobs:
            sent = self.jobs[key[1:]]["sent"]
            if sid in sent:
                sent[sid] = True
        for row, handed in list(self.handing.items()):
            if handed == (key, sid):
                self.propose(("delete", row))
        if key[0] == "row":
            if key[1] in self.world.store.rows:
                self.handing[key[1]] = (key, sid)
                self.propose(("delete", key[1]))
            else:
                self.send(sid[0], ("forget", key))
        if key[0] == "gone" and key[1] not in self.ends and key[1] not in self.directory.entries:
            self.send(sid[0], ("forget", key))

    def frame(self, frame, low, resent):
        origin, num = key = frame["origin"], frame["num"]
        self.low[origin] = max(low, self.low.get(origin, 0))
        self.finished = {k for k in self.finished if k[0] != origin or k[1] >= low}
        if key in self.finished:
            self.send(origin[0], ("ack", origin, num))
        elif resent and frame["kind"] == "login" and frame["sid"] not in self.ready[origin[0]] \
                and self.world.rules["stale_bind"]:
            self.finished.add(key)
            self.send(origin[0], ("ack", origin, num))
        elif key not in self.jobs and num >= low:
            self.jobs[key] = dict(frame=frame, resent=resent, stage=0, sent={}, refused=set(), seq=0, kicked=set(),
                                  bounce=False, cancelled=False)

    def early_pings(self):
        """Before it takes links a leader answers pings."""
        for node in range(N) if self.began is None else ():
            if self.world.reach(node, self.node) and self.world.edges[node].term <= self.term:
                self.heard[node] = self.world.edges[node].last_ok = self.world.now

    def expire(self):
        if self.began is None and self.may_begin():
            self.begin()
        for node in range(N) if self.began is not None else ():
            if self.world.now - self.heard[node] >= HOLD + MARGIN and node not in self.dead:
                if node in self.unheard():
                    self.world.late.append((node, self.began_at))
                self.dead.add(node)
                origin = self.origin_of.pop(node, None)
                if self.world.linked(node, self):
                    self.world.unlink(node)
                if origin:
                    self.end_origin(origin)
                for sid in [s for s in self.directory.entries if s[0] == node]:
                    self.end_session(sid)
        if self.in_grace and self.began is not None and self.world.now - self.began >= GRACE:
            self.in_grace = False
            if self.directory.complete and self.world.rules["at_once"]:
                self.world.late += [(n, self.began_at) for n in self.unheard()]
        if not self.unheard():
            for origin, _ in list(self.world.store.applied):
                if origin in self.low:
                    self.propose(("prune", origin, self.low[origin]))
                elif self.world.rules["end_origin"] and not any(k[0] == origin for k in self.jobs):
                    self.propose(("prune", origin, 1 << 30))
        self.advance()

    # -- what is to be done
    def advance(self):
        if not self.directory.complete and not self.unheard():
            self.directory.complete = True
            self.to_mirrors(("complete", self.directory.seq))
        moved = True
        while moved:
            moved = False
            for key, job in list(self.jobs.items()):
                if key in self.jobs and getattr(self, "do_" + job["frame"]["kind"])(key, job):
                    del self.jobs[key]
                    self.finished.add(key)
                    self.send(key[0][0], ("ack", *key))
                    moved = True
            for sid in list(self.ends):
                moved |= self.do_end(sid)
            for user in USERS:
                moved |= self.hand_out(user)

    def drop_dead_targets(self, sent):
        for sid, done in list(sent.items()):
            if not done and self.state_of(sid) is None:
                del sent[sid]
                for entry in [k for k in self.outbox[sid[0]] if k[1] == sid]:
                    del self.outbox[sid[0]][entry]

    def counts(self, sid):
        return self.state_of(sid) is not None and (
            not self.world.rules["counted"] or self.has_majority(self.added.get(sid, 0)))

    def others(self, sid):
        return [s for s in self.directory.entries if s != sid and self.counts(s) and self.world.contacts(s, sid)]

    def do_login(self, key, job):
        sid, full, user = job["frame"]["sid"], job["frame"]["full"], job["frame"]["user"]
        if job["cancelled"] or sid in self.ends or self.origin_of.get(sid[0]) != key[0]:
            return True
        if job["stage"] == 0:
            rivals = [s for s, e in self.directory.entries.items() if e[1] == full and s != sid and s not in self.ends]
            for other in [s for s in rivals if s not in job["kicked"]]:
                job["kicked"].add(other)
                self.send(other[0], ("kick", other))
            if self.world.rules["bind_waits"]:
                if rivals or any(self.world.sessions[s].full == full for s in self.ends) or self.perhaps_held():
                    return False
            for other in rivals:
                self.end_session(other)
            known = sid in self.directory.entries
            job["seq"] = self.added.get(sid, 0) if known else self.event(sid, (user, full, key[0]))
            job["stage"] = 1
        if job["stage"] == 1 and self.has_majority(job["seq"]):
            job["stage"] = 2
            payloads = {sid: ("bound",)}
            payloads.update({s: ("available", sid) for s in self.others(sid)})
            for target, payload in payloads.items():
                job["sent"][target] = False
                self.deliver(("frame", *key), target, payload, sid, (key[0], self.low.get(key[0], 0)))
            for ordinal, other in enumerate(self.others(sid)):
                name = other if self.world.rules["probe_ids"] else ordinal
                self.deliver(("frame", *key, name), sid, ("available", other), other, None)
        self.drop_dead_targets(job["sent"])
        probes = any(k[:3] == ("frame", *key) and len(k) > 3 and s == sid for k, s in self.outbox[sid[0]])
        return job["stage"] == 2 and all(job["sent"].values()) and not probes

    def do_logout(self, key, job):
        sid = job["frame"]["sid"]
        if not job["stage"]:
            job["stage"] = 1
            for other in self.jobs.values():
                other["cancelled"] |= other["frame"]["kind"] == "login" and other["frame"]["sid"] == sid
            if sid in self.directory.entries:
                self.end_session(sid, key)
        return sid not in self.ends

    def end_session(self, sid, cause=None):
        if sid in self.ends:
            return
        self.counter += 1
        key = ("gone", sid) if self.world.rules["gone_ids"] else \
            ("frame", *cause, "gone") if cause else ("term", self.term, self.counter)
        targets = self.others(sid)
        self.ends[sid] = dict(key=key, sent={t: False for t in targets}, seq=0)
        for target in targets:
            self.deliver(key, target, ("gone", sid), sid)

    def do_end(self, sid):
        end = self.ends[sid]
        self.drop_dead_targets(end["sent"])
        for target in end["sent"]:
            if (end["key"], target) not in self.outbox[target[0]]:
                end["sent"][target] = True
        if not all(end["sent"].values()):
            return False
        if not end["seq"]:
            end["seq"] = self.event(sid, None)
        if not self.has_majority(end["seq"]):
            return False
        del self.ends[sid]
        for node in range(N):
            if end["key"][0] == "gone":
                self.send(node, ("forget", end["key"]))
        return True

    def unheard(self):
        return set(range(N)) - self.origin_of.keys() - self.dead

    def perhaps_held(self):
        """Whether an address that this router doesn't know may be in use on a node not heard from."""
        at_once = self.directory.complete and self.world.rules["at_once"]
        return self.world.rules["hold_unknown"] and not at_once and bool(self.unheard())

    def unsettled(self):
        """Whether what the others accepted is waited for."""
        return self.perhaps_held() or self.world.rules["grace"] and self.in_grace and bool(self.unheard())

    def drop_row(self, key):
        for out in self.outbox.values():
            for entry in [k for k in out if k[0] == key]:
                del out[entry]

    def sessions_of(self, user):
        return [s for s, e in self.directory.entries.items() if e[0] == user and self.counts(s)]

    def hand_out(self, user):
        moved = False
        rows = [r for r, (u, _) in self.world.store.rows.items() if u == user]
        for row in [r for r in self.handing if r not in self.world.store.rows]:
            key, sid = self.handing.pop(row)
            if key[0] == "row":
                if self.world.rules["row_dropped"]:
                    self.drop_row(key)
                for node in range(N) if self.world.rules["forget_all"] else [sid[0]]:
                    self.send(node, ("forget", key))
        sessions = self.sessions_of(user)
        for ordinal, row in enumerate(rows):
            if row in self.handing and self.state_of(self.handing[row][1]) is None \
                    and ("delete", row) not in self.proposed:
                del self.handing[row]
            ready = [s for s in sessions if self.state_of(s) == "live" and self.world.sessions[s].bound is not None]
            if row in self.handing or not ready or ("delete", row) in self.proposed or self.unsettled() \
                    or any(self.state_of(s) == "held" for s in sessions):
                continue
            login = (self.directory.entries[ready[0]][2], self.world.sessions[ready[0]].login_num)
            key = ("row", row) if self.world.rules["row_ids"] else ("frame", *login, "row", ordinal)
            self.handing[row] = (key, ready[0])
            self.deliver(key, ready[0], ("row", self.world.store.rows[row][1]))
            moved = True
        return moved

    def later_begun(self, key, frame):
        """Whether a later message of the same pair has had an effect: it can't have been begun before this was done."""
        origin, num, pair = *key, (frame["sid"], frame["user"])
        return any(k[0] == "frame" and k[1] == origin and k[2] > num and pair in [(r[0], r[2]) for r in t.values()]
                   for k, t in self.reports.items()) or \
            any(k[0] == origin and k[1] > num and p == pair for k, p in self.world.store.applied.items())

    def settled_full(self, frame):
        """As rule 9 first had it: whether the edge that a full address is on has announced."""
        return not self.world.rules["full_waits"] and any(
            e[1] == frame["full"] and self.counts(s) and self.state_of(s) == "live"
            for s, e in self.directory.entries.items())

    def do_message(self, key, job):
        frame, rules, store = job["frame"], self.world.rules, self.world.store
        wire, user = ("frame", *key), frame["user"]
        if key in store.applied:
            return True
        if rules["pair_order"] and any(j["frame"]["kind"] == "message" and j["frame"]["sid"] == frame["sid"] and
                                       j["frame"]["user"] == user and k[1] < key[1] for k, j in self.jobs.items()):
            return False
        if self.unsettled() if job["resent"] and not self.settled_full(frame) else self.perhaps_held():
            return False
        if key in self.storing:
            return False
        sent, reported = job["sent"], self.reports.get(wire, {})
        if job["bounce"]:
            self.drop_dead_targets(sent)
            return all(sent.values())
        if job["resent"] and not sent and (reported and frame["full"] or
                                           rules["later_done"] and self.later_begun(key, frame)):
            return True
        sessions = [s for s in self.sessions_of(user) if s not in job["refused"]]
        if frame["full"]:
            exact = [s for s in sessions if self.directory.entries[s][1] == frame["full"]]
            sessions = exact or ([] if frame["iq"] else sessions)
        self.drop_dead_targets(sent)
        if not sent:
            job["stage"] = 0
        behind = rules["behind_rows"] and not frame["iq"] and any(u == user for u, _ in store.rows.values())
        if job["stage"] == 0:                         # stage 1: the targets are settled
            job["stage"] = 1
            for sid in sessions:
                if sid in sent:
                    continue
                if sid in reported:
                    sent[sid] = True
                elif self.state_of(sid) == "live" and not behind:
                    sent[sid] = False
                    low = (key[0], self.low.get(key[0], 0))
                    self.deliver(wire, sid, ("message", frame["msg"]), frame["sid"], low)
                else:
                    job["stage"] = 0                  # held, or behind stored rows: looked at again
        if sent or reported:
            return job["stage"] == 1 and all(sent.values())
        if sessions:
            return False
        if not frame["iq"]:
            self.storing.add(key)
            self.propose(("store", *key, frame["sid"], user, frame["msg"], self.low.get(key[0], 0)))
        elif self.state_of(frame["sid"]) is None:
            return True                               # nobody is left to be told
        elif self.state_of(frame["sid"]) == "live":
            job["bounce"], sent[frame["sid"]] = True, False
            self.deliver(wire, frame["sid"], ("bounce", frame["msg"]), frame["sid"])
        return False


class World:
    """Nodes, channels, clocks, the log; and the steps that a schedule is made of."""
    def __init__(self, rules, overlap):
        self.rules, self.overlap = rules, overlap
        self.now, self.clock, self.ids, self.term = 0, 0, 0, 0
        self.store, self.proposals, self.routers = Store(), [], {}
        self.sessions, self.messages, self.failed, self.problems = {}, {}, set(), []
        self.directories = [Directory() for _ in range(N)]
        for directory in self.directories:
            directory.complete = True
        self.promised = [0] * N                        # the newest term each node has seen; durable
        self.blocked, self.lost_directory, self.strangers = set(), False, False
        self.late = []                                 # (node, began_at of a router that gave up waiting for it)
        self.links, self.up, self.down = [None] * N, [[] for _ in range(N)], [[] for _ in range(N)]
        self.mirror, self.mirror_acks, self.mirror_of = {n: [] for n in range(N)}, [[] for _ in range(N)], [None] * N
        self.edges = [None] * N
        self.edges = [Edge(self, n) for n in range(N)]

    def fresh(self):
        self.ids += 1
        return self.ids

    def contacts(self, sid, other):
        return not self.strangers or self.sessions[sid].user == self.sessions[other].user

    def linked(self, node, router):
        return self.links[node] is router

    def reach(self, a, b):
        return self.edges[a] and self.edges[b] and (a == b or (min(a, b), max(a, b)) not in self.blocked)

    def unlink(self, node):
        if self.links[node]:
            self.links[node].ready.pop(node, None)
        self.links[node], self.up[node], self.down[node] = None, [], []
        if self.edges[node]:
            self.edges[node].link = None

    def stop_router(self, node):
        router = self.routers.pop(node, None)
        for n in range(N):
            if router and self.links[n] is router:
                self.unlink(n)
            if router and self.mirror_of[n] is router:
                self.cut_mirror(n)

    def cut_mirror(self, node):
        self.mirror[node], self.mirror_acks[node], self.mirror_of[node] = [], [], None

    # -- steps; each says whether it could be taken
    def step_tick(self):
        self.now += 1
        for node in [n for n, r in self.routers.items() if r.term < self.term]:
            self.stop_router(node)                     # --overlap is shorter than the margin
        for router in self.routers.values():
            router.early_pings()
        for edge in filter(None, self.edges):
            edge.expire()
        for router in list(self.routers.values()):
            router.expire()
        for edge in filter(None, self.edges):
            edge.ping()
        return True

    def step_up(self, node):
        if not self.up[node] or not self.reach(node, self.links[node].node):
            return False
        self.links[node].receive(node, self.up[node].pop(0))
        return True

    def step_down(self, node):
        if not self.down[node] or not self.reach(node, self.links[node].node):
            return False
        self.edges[node].receive(*self.down[node].pop(0))
        return True

    def step_mirror(self, node):
        router = self.mirror_of[node]
        if not self.mirror[node] or not self.reach(node, router.node):
            return False
        term, message = self.mirror[node].pop(0)
        if term < self.promised[node] and self.rules["term_check"]:
            return True
        self.promised[node], directory = max(term, self.promised[node]), self.directories[node]
        if message[0] == "copy":
            directory.entries, directory.complete = dict(message[2]), message[3]
        elif message[0] == "complete":
            directory.complete = True
        elif message[3] is None:
            directory.entries.pop(message[2], None)
        else:
            directory.entries[message[2]] = message[3]
        directory.term, directory.seq = term, message[1]
        self.mirror_acks[node].append(message[1])
        return True

    def step_mirrored(self, node):
        if not self.mirror_acks[node] or not self.reach(node, self.mirror_of[node].node):
            return False
        self.mirror_of[node].mirrored[node] = self.mirror_acks[node].pop(0)
        self.mirror_of[node].advance()
        return True

    def step_mirror_link(self, node, leader):
        router = self.routers.get(leader)
        if node == leader or not router or self.mirror_of[node] or not self.reach(node, leader) \
                or router.began is None:
            return False
        self.mirror_of[node] = router
        copied = router.directory
        self.mirror[node].append((router.term, ("copy", copied.seq, dict(copied.entries), copied.complete)))
        return True

    def step_link(self, node, leader):
        router, edge = self.routers.get(leader), self.edges[node]
        if not router or self.links[node] or not self.reach(node, leader):
            return False
        if router.term < edge.term and self.rules["term_check"] or router.began is None:
            return False
        if self.rules["merge"] and not router.has_majority(router.base):
            return False                               # its merged directory is at a majority before it takes links
        edge.term, edge.link, self.links[node] = max(edge.term, router.term), router, router
        edge.announce()
        return True

    def step_commit(self):
        while self.proposals and self.proposals[0][0] < self.term:
            self.proposals.pop(0)
        router = next((r for r in self.routers.values() if r.term == self.term), None)
        if not self.proposals or not router:
            return False
        if not any(self.reach(router.node, n) for n in range(N) if n != router.node):
            return False
        self.store.apply(self.proposals.pop(0)[1])
        router.advance()
        return True

    def step_elect(self, node, voter, survive):
        """`voter` is the other half of the majority; `survive` of the proposals under way are found committed."""
        if node == voter or not self.reach(node, voter):
            return False
        for _, command in [p for p in self.proposals if p[0] == self.term][:survive]:
            self.store.apply(command)
        self.proposals = []
        for old in list(self.routers):
            if not self.overlap or old in (node, voter):
                self.stop_router(old)
        self.term += 1
        for n in (node, voter):
            if self.links[n]:
                self.unlink(n)
            self.edges[n].term = self.term             # its node has seen it in Raft (term_check)
        self.routers[node] = Router(self, node, self.term)
        self.step_copy(node, node)
        self.step_copy(voter, node)
        return True

    def step_copy(self, node, leader):
        """A new leader fetches one copy; those of its voters come with the election."""
        router = self.routers.get(leader)
        if not router or router.began is not None or node in router.copies or not self.reach(node, leader) \
                or self.promised[node] > router.term:
            return False
        router.take_copy(node)
        if router.may_begin():
            router.begin()
        return True

    def step_depose(self, node):
        if node not in self.routers or self.overlap and self.routers[node].term == self.term:
            return False
        self.stop_router(node)
        return True

    def step_cut(self, a, b):
        if (a, b) in self.blocked:
            return False
        self.blocked.add((a, b))
        return True

    def step_reset(self, node):
        if not self.links[node]:
            return False
        self.unlink(node)
        return True

    def step_reset_mirror(self, node):
        if not self.mirror_of[node]:
            return False
        self.cut_mirror(node)
        return True

    def step_heal(self):
        healed, self.blocked = bool(self.blocked), set()
        return healed

    def step_crash(self, node):
        if not self.edges[node]:
            return False
        self.failed.add(node)
        self.stop_router(node)
        self.unlink(node)
        self.cut_mirror(node)
        for session in self.edges[node].sessions.values():
            session.ended = self.clock
        self.edges[node], self.directories[node] = None, Directory()
        return True

    def step_restart(self, node):
        if self.edges[node]:
            return False
        self.edges[node] = Edge(self, node)
        return True

    def step_strangers(self):
        """Nobody is a contact, but one's own sessions are told of each other."""
        self.strangers = True
        return True

    def step_flow(self, skip):
        """All that can move moves, but for the channels of one node."""
        return self.drain(skip)

    def client(self, node, full):
        edge = self.edges[node]
        return next((s for s in edge.sessions.values() if s.full == full), None) if edge else None

    def step_login(self, node, user, resource):
        full, edge = user + "/" + resource, self.edges[node]
        if not edge or self.client(node, full):
            return False
        session = Session((node, self.fresh()), user, full, node, self.clock)
        session.login_num = edge.next_num
        self.sessions[session.sid] = edge.sessions[session.sid] = session
        edge.client_frame(session, "login", user=user, full=full)
        return True

    def step_logout(self, node, user, resource):
        session = self.client(node, user + "/" + resource)
        if not session or session.bound is None:
            return False
        self.edges[node].end(session)
        return True

    def step_send(self, node, user, resource, to, to_resource, iq):
        session = self.client(node, user + "/" + resource)
        if not session or session.bound is None:
            return False
        msg, full = len(self.messages), to + "/" + to_resource if to_resource else None
        self.messages[msg] = dict(sender=session, user=to, full=full, iq=iq, sent=self.clock)
        self.edges[node].client_frame(session, "message", user=to, full=full, iq=iq, msg=msg)
        return True

    def step_expect(self, node, user, resource, kind):
        """Something must have come to a session by now."""
        session = self.client(node, user + "/" + resource)
        if not session or kind not in [p[0] for p in session.inbox]:
            self.problems.append("not at once: %s to %s/%s" % (kind, user, resource))
        return True

    def take(self, step):
        self.clock += 1
        taken = getattr(self, "step_" + step[0])(*step[1:])
        if taken and step[0] in ("down", "tick"):
            bound = [s.full for e in self.edges if e for s in e.sessions.values() if s.bound is not None]
            if len(bound) != len(set(bound)):
                self.problems.append("two sessions hold one full JID: %s" % sorted(bound))
        return taken

    # -- the end of a run: everything heals, nothing new happens
    def drain(self, skip=None):
        for _ in range(300):
            moved = False
            for node in [n for n in range(N) if n != skip]:
                for leader in list(self.routers):
                    moved |= self.take(("copy", node, leader)) | self.take(("link", node, leader))
                    moved |= self.take(("mirror_link", node, leader))
                for what in ("up", "down", "mirror", "mirrored"):
                    while self.take((what, node)):
                        moved = True
            while self.take(("commit",)):
                moved = True
            if not moved:
                return True
        self.problems.append("does not come to rest")
        return True

    def settle(self):
        self.step_heal()
        for node in range(N):
            if sum(e is not None for e in self.edges) < MAJORITY:
                self.step_restart(node)
        for node in list(self.routers):
            if self.routers[node].term < self.term:
                self.stop_router(node)
        up = [n for n in range(N) if self.edges[n]]
        if not self.routers:
            self.take(("elect", up[0], up[1], 0))
        for _ in range(3 * (HOLD + MARGIN)):
            self.drain()
            self.take(("tick",))
        self.drain()
        for user in USERS:
            if not any(s.user == user for e in self.edges if e for s in e.sessions.values()):
                self.take(("login", up[-1], user, "z"))
        for _ in range(3):
            self.drain()
            self.take(("tick",))
        self.drain()

    def check(self):
        bad, sessions = self.problems, self.sessions.values()
        if any(e.unacked for e in self.edges if e) or any(r.jobs or r.ends for r in self.routers.values()):
            bad.append("frames or ends of sessions never finish")
        if self.store.rows:
            bad.append("stored rows never handed out: %s" % self.store.rows)
        kept = [e.accepted for e in self.edges if e] + [self.store.applied]
        if any(kept):
            bad.append("memories not pruned: %s" % kept)
        for session in sessions:
            got = [p[1] for p in session.inbox if p[0] in ("message", "row", "bounce")]
            if len(got) != len(set(got)):
                bad.append("twice to one session: %s %s" % (session.sid, session.inbox))
            for other in sessions:
                told = [p[0] for p in session.inbox if p[-1] == other.sid and p[0] in ("available", "gone")]
                if told.count("gone") > 1:
                    bad.append("%s told more than once that %s is gone" % (session.sid, other.sid))
                if session.ended is None and session is not other and not self.lost_directory \
                        and self.contacts(session.sid, other.sid):
                    if "available" in told and (other.ended is not None) != (told[-1] == "gone"):
                        bad.append("%s has a wrong last word of %s: %s" % (session.sid, other.sid, told))
                    if other.ended is None and "available" not in told:
                        bad.append("%s never told of %s" % (session.sid, other.sid))
        for msg, m in self.messages.items():
            self.check_message(bad, msg, m)
        for session in sessions:
            if session.node not in self.failed:
                for sender in sessions:
                    got = [p[1] for p in session.inbox if p[0] in ("message", "row")
                           and self.messages[p[1]]["sender"] is sender and not self.messages[p[1]]["iq"]]
                    if got != sorted(got) and not self.touched(session.user):
                        bad.append("out of order: %s got %s from %s" % (session.sid, got, sender.sid))

    def touched(self, user):
        """Whether a session of this user was on a node that failed: order and 'not both' are then not promised."""
        return any(s.user == user and s.node in self.failed for s in self.sessions.values())

    def late_taker(self, m, s):
        """Rule 9: what was unfinished when a leader began may also have reached, on a node that announced late or was
        given up unheard, a session that had ended, or one that stood in for a full address."""
        return any(n == s.node and m["sent"] < began_at and (
            s.ended and s.ended < began_at or m["full"] not in (None, s.full)) for n, began_at in self.late)

    def check_message(self, bad, msg, m):
        if m["sender"].node in self.failed:
            return
        live = [s for s in self.sessions.values() if ("message", msg) in s.inbox]
        rows = [s for s in self.sessions.values() if ("row", msg) in s.inbox]
        bounced = ("bounce", msg) in m["sender"].inbox
        taken = [s for s in live if not self.late_taker(m, s)]
        exact = [s for s in taken if s.full == m["full"]]
        fates = len(exact) + (len(taken) > len(exact)) + bounced + len([s for s in rows if not self.late_taker(m, s)])
        if not self.touched(m["user"]) and fates > 1:
            bad.append("more than one fate: message %d live %s rows %s bounced %s" % (
                msg, [s.sid for s in live], [s.sid for s in rows], bounced))
        for s in self.sessions.values():
            if not m["full"] and s.user == m["user"] and s.node not in self.failed and s.ended is None and \
                    s.bound is not None and s.bound < m["sent"] and s not in live + rows and not rows:
                bad.append("message %d never came to %s" % (msg, s.sid))


# -- schedules
def draw(rng, world, slow, calm, flow):
    """One step that may be possible now. Deliveries are the most frequent, so that something gets done. The channels of
    the slow node are mostly left alone; in a calm schedule nothing crashes, but leaders change."""
    n, user, resource = rng.randrange(N), rng.choice(USERS), rng.choice(RESOURCES)
    leader = rng.choice(list(world.routers)) if world.routers else n
    kind = rng.random()
    if n == slow and kind < 0.72 and rng.random() < 0.8:
        n = (n + 1 + rng.randrange(N - 1)) % N
    if kind < 0.55:
        busy = [(w, i) for w, channels in (("up", world.up), ("down", world.down), ("mirror", world.mirror),
                                           ("mirrored", world.mirror_acks)) for i in range(N) if channels[i]
                and (i != slow or rng.random() < 0.2)]
        return rng.choice(busy) if busy else ("link", n, leader)
    if kind < flow:
        return ("flow", rng.choice((None, slow if slow is not None else n)))
    if kind < 0.63:
        return ("commit",)
    if kind < 0.72 or calm and kind < 0.74:
        return (rng.choice(("link", "link", "mirror_link", "copy")), n, leader)
    if kind < 0.77:
        return ("login", n, user, resource)
    if kind < 0.86:
        to = rng.choice((None, None) + RESOURCES)
        here = [s for e in world.edges if e for s in e.sessions.values() if s.bound is not None]
        if here:
            s = rng.choice(here)
            return ("send", s.node, s.user, s.full[-1], user, to, bool(to) and rng.random() < 0.4)
        return ("link", n, leader)
    if kind < 0.88:
        return ("logout", n, user, resource)
    if kind < 0.915:
        return ("tick",)
    if kind < 0.935:
        return (rng.choice(("reset", "reset_mirror")), n)
    if kind < 0.955 or (calm or not world.routers) and kind < 0.983:
        return ("elect", n, rng.randrange(N), rng.randrange(4))
    if kind < 0.965:
        return ("cut", *sorted(rng.sample(range(N), 2)))
    if kind < 0.975:
        return ("heal",)
    if kind < 0.983:
        return ("crash", n)
    return ("restart", n) if kind < 0.995 else ("depose", n)


def breed(rng):
    """The steps of a tale, a few of them left out; None where a random one goes."""
    for step in [s for s in rng.choice(list(TALES.values())) if s[0] != "expect"]:
        if rng.random() < 0.1:
            yield None
        if rng.random() > 0.04:
            yield step


def make(seed, args):
    """Plays a random schedule; returns the steps that could be taken, and the world at the end."""
    rng, world, steps = random.Random(seed), World(args.rules, args.overlap), []
    slow, calm, flow = rng.choice((None, *range(N))), rng.random() < 0.5, rng.choice((0, 0.57, 0.6))
    world.take(("elect", 0, 1, 0))
    planned = list(breed(rng)) if rng.random() < 0.25 else [("strangers",)] if rng.random() < 0.5 else []
    for step in planned + [None] * rng.choice((30, 60, 120, 200)):
        step = step or draw(rng, world, slow, calm, flow)
        if world.take(step):
            steps.append(step)
    world.settle()
    world.check()
    return steps, world


def play(steps, args):
    world = World(args.rules, args.overlap)
    world.take(("elect", 0, 1, 0))
    for step in steps:
        world.take(step)
    world.settle()
    world.check()
    return world


def shrink(steps, problem, args):
    kind, size = problem.split(":")[0].split("(")[0][:12], max(1, len(steps) // 2)
    fails = lambda some: any(p.startswith(kind) for p in play(some, args).problems)
    if not fails(steps):
        return steps
    while size:
        at, shorter = 0, False
        while at < len(steps):
            less = steps[:at] + steps[at + size:]
            if fails(less):
                steps, shorter = less, True
            else:
                at += size
        size = size if shorter and size == 1 else size // 2
    return steps


def play_tales(args):
    """Each tale fails without its rule, and doesn't with all of them; returns how many of these are not so."""
    right, wrong = 0, 0
    for name, steps in TALES.items():
        for rule in (None, name):
            args.rules = {r: r != rule for r in RULES}
            problems = play(steps, args).problems[:1]
            well = bool(problems) == bool(rule)
            right, wrong = right + well, wrong + (not well)
            print("%s %s, %s: %s" % ("ok  " if well else "FAIL", name, "without it" if rule else "all rules",
                                     (problems or ["no violation"])[0]))
    print("%d as expected, %d not" % (right, wrong))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules")
    parser.add_argument("--seed", type=int, help="this schedule alone, or the first of --seeds")
    parser.add_argument("--trace", action="store_true", help="shrink the failing schedule and show it")
    parser.add_argument("--overlap", action="store_true", help="an old leader may route beside the new one")
    parser.add_argument("--as-written", action="store_true", help="all rules but term_check off")
    parser.add_argument("--without", action="append", default=[], choices=RULES, help="switch one rule off")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--tales", action="store_true", help="the schedules made by hand, with and without their rule")
    args = parser.parse_args()
    if args.tales:
        return 1 if play_tales(args) else 0
    args.rules = {name: name not in args.without and (not args.as_written or name == "term_check") for name in RULES}
    first = args.seed or 0
    begun, failures, done = time.monotonic(), {}, 0
    for seed in range(first, first + (1 if args.seed is not None and args.trace else args.seeds)):
        if time.monotonic() - begun > args.seconds:
            break
        steps, world = make(seed, args)
        done += 1
        for problem in world.problems[:1]:
            failures.setdefault(problem.split(" ")[0], []).append((seed, problem))
            if args.trace:
                steps = shrink(steps, problem, args)
                print("seed", seed, *["  %3d %s" % (i, s) for i, s in enumerate(steps)], sep="\n")
                print(*dict.fromkeys(play(steps, args).problems), sep="\n")
                return 1
    print("%d schedules, %d failed, %.1f s" % (done, sum(map(len, failures.values())), time.monotonic() - begun))
    for kind in failures.values():
        print("%6d  seed %d: %s" % (len(kind), *kind[0]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
