/*
 * Whom a certificate names, and whether it speaks for an XMPP domain (RFC
 * 6120, 13.7.1.2) or a host (RFC 6125).
 */
#include "common/pki.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <idn2.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

/* The labels of a host name in its ASCII form: RFC 1123, and "_". */
static bool
is_host_name(const char *name)
{
	size_t label = 0;

	if (*name == '\0' || strlen(name) > 253)
		return false;
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '.') {
			if (label == 0 || p[-1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", *p) ==
			NULL ||
		    (*p == '-' && label == 0) || ++label > 63)
			return false;
	}
	return label > 0 && name[strlen(name) - 1] != '-';
}

char *
pki_domain(const char *name)
{
	bool wildcard = str_starts(name, "*.");
	char *ascii = NULL, *out;
	size_t len;

	if (idn2_to_ascii_8z(name + (wildcard ? 2 : 0), &ascii,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	str_lower(ascii);
	len = strlen(ascii);
	if (len > 1 && ascii[len - 1] == '.') /* the root is no label */
		ascii[len - 1] = '\0';
	if (!is_host_name(ascii)) {
		idn2_free(ascii);
		return NULL;
	}
	xasprintf(&out, "%s%s", wildcard ? "*." : "", ascii);
	idn2_free(ascii);
	return out;
}

/* A string of a certificate as it is; a NUL inside makes it nobody's name. */
static void
add_name(
    struct pki_names *names, enum pki_name_type type, const ASN1_STRING *string)
{
	const char *data = (const char *)ASN1_STRING_get0_data(string);
	size_t len = (size_t)ASN1_STRING_length(string);
	struct pki_name *name;

	if (len == 0 || memchr(data, '\0', len) != NULL ||
	    !str_is_utf8(data, len))
		return;
	names->name =
	    xrealloc(names->name, (names->count + 1) * sizeof(names->name[0]));
	name = &names->name[names->count++];
	name->type = type;
	name->text = xstrndup(data, len);
}

static void
add_address(struct pki_names *names, const ASN1_STRING *bytes)
{
	char text[INET6_ADDRSTRLEN];
	int len = ASN1_STRING_length(bytes);
	ASN1_STRING *string;

	if ((len != 4 && len != 16) ||
	    inet_ntop(len == 4 ? AF_INET : AF_INET6,
		ASN1_STRING_get0_data(bytes), text, sizeof(text)) == NULL)
		return;
	string = ASN1_STRING_new();
	ASN1_STRING_set(string, text, -1);
	add_name(names, PKI_NAME_IP, string);
	ASN1_STRING_free(string);
}

static void
add_other_name(struct pki_names *names, const OTHERNAME *other)
{
	const ASN1_TYPE *value = other->value;

	switch (OBJ_obj2nid(other->type_id)) {
	case NID_XmppAddr:
		if (value->type == V_ASN1_UTF8STRING)
			add_name(names, PKI_NAME_XMPP, value->value.utf8string);
		break;
	case NID_SRVName:
		if (value->type == V_ASN1_IA5STRING)
			add_name(names, PKI_NAME_SRV, value->value.ia5string);
		break;
	default:
		break;
	}
}

static void
add_common_name(struct pki_names *names, const X509_NAME *subject)
{
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *utf8;
	ASN1_STRING *string;
	int len;

	if (at < 0)
		return;
	len = ASN1_STRING_to_UTF8(
	    &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len < 0)
		return;
	string = ASN1_STRING_new();
	ASN1_STRING_set(string, utf8, len);
	add_name(names, PKI_NAME_DNS, string);
	ASN1_STRING_free(string);
	OPENSSL_free(utf8);
}

void
pki_names(const struct x509_st *cert, struct pki_names *names)
{
	GENERAL_NAMES *san =
	    X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	memset(names, 0, sizeof(*names));
	for (int i = 0; i < sk_GENERAL_NAME_num(san); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(san, i);

		if (gn->type == GEN_DNS)
			add_name(names, PKI_NAME_DNS, gn->d.dNSName);
		else if (gn->type == GEN_IPADD)
			add_address(names, gn->d.iPAddress);
		else if (gn->type == GEN_OTHERNAME)
			add_other_name(names, gn->d.otherName);
	}
	/* RFC 6125, 6.4.4: the CN counts only where there is no SAN. */
	if (X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) < 0)
		add_common_name(names, X509_get_subject_name(cert));
	GENERAL_NAMES_free(san);
	ERR_clear_error();
}

void
pki_names_clear(struct pki_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->name[i].text);
	free(names->name);
	memset(names, 0, sizeof(*names));
}

char *
pki_names_text(const struct x509_st *cert)
{
	struct pki_names names;
	struct buf out = { 0 };

	pki_names(cert, &names);
	for (size_t i = 0; i < names.count; i++)
		buf_addf(&out, "%s%s", i > 0 ? ", " : "", names.name[i].text);
	pki_names_clear(&names);
	buf_str(&out);
	return buf_steal_str(&out);
}

/* RFC 6125, 6.4.3: a wildcard is a whole left-most label, and matches one. */
static bool
covers(const char *pattern, const char *domain)
{
	char *name = pki_domain(pattern);
	const char *rest = strchr(domain, '.');
	bool yes = false;

	if (name != NULL && str_starts(name, "*."))
		yes = rest != NULL && strchr(name + 2, '.') != NULL &&
		    strcmp(rest, name + 1) == 0;
	else if (name != NULL)
		yes = strcmp(name, domain) == 0;
	free(name);
	return yes;
}

/* RFC 6120, 13.7.1.2: DNS-ID, SRV-ID for XMPP's services, XmppAddr. */
static bool
name_covers_domain(const struct pki_name *name, const char *domain)
{
	static const char *const services[] = { "_xmpp-client.",
		"_xmpp-server." };

	switch (name->type) {
	case PKI_NAME_DNS:
		return covers(name->text, domain);
	case PKI_NAME_XMPP:
		return name->text[0] != '*' && covers(name->text, domain);
	case PKI_NAME_SRV:
		for (size_t i = 0; i < 2; i++)
			if (str_starts(name->text, services[i]))
				return covers(
				    name->text + strlen(services[i]), domain);
		return false;
	case PKI_NAME_IP:
		break;
	}
	return false;
}

bool
pki_covers_domain(const struct x509_st *cert, const char *domain)
{
	char *ascii = pki_domain(domain);
	struct pki_names names;
	bool yes = false;

	if (ascii == NULL || ascii[0] == '*') {
		free(ascii);
		return false;
	}
	pki_names(cert, &names);
	for (size_t i = 0; i < names.count && !yes; i++)
		yes = name_covers_domain(&names.name[i], ascii);
	pki_names_clear(&names);
	free(ascii);
	return yes;
}

bool
pki_covers_host(const struct x509_st *cert, const char *host)
{
	unsigned char bytes[16];
	char address[INET6_ADDRSTRLEN] = "";
	char *ascii = pki_domain(host);
	struct pki_names names;
	bool yes = false;

	for (int i = 0; i < 2 && address[0] == '\0'; i++) {
		int family = i == 0 ? AF_INET : AF_INET6;

		if (inet_pton(family, host, bytes) == 1)
			inet_ntop(family, bytes, address, sizeof(address));
	}
	pki_names(cert, &names);
	for (size_t i = 0; i < names.count && !yes; i++) {
		const struct pki_name *name = &names.name[i];

		if (name->type == PKI_NAME_IP)
			yes = strcmp(name->text, address) == 0;
		else if (name->type == PKI_NAME_DNS && address[0] == '\0')
			yes = ascii != NULL && ascii[0] != '*' &&
			    covers(name->text, ascii);
	}
	pki_names_clear(&names);
	free(ascii);
	return yes;
}
