/*
 * xmpp user export, import: documents of XEP-0227 in the pki folder, a part at
 * a time, so that neither this process nor the server holds one in memory.
 *
 * libxml2's reader gives the document as a stream; what a user has is handed on
 * an element at a time, and stored messages and archives message by message. A
 * document type is refused (no entities), and XInclude (XEP-0227, 4) reads from
 * the pki folder only.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxml/parserInternals.h>
#include <libxml/xmlreader.h>

#include "common/buf.h"
#include "common/strutil.h"
#include "common/xmalloc.h"
#include "mmp/call.h"
#include "mmp/cmd_pki.h"

#define NS_PIE "urn:xmpp:pie:0"
#define BATCH_COUNT 64
#define BATCH_BYTES (256 * 1024)
#define FAULTS_SHOWN 20

/* ---- export ------------------------------------------------------------ */

/* Asks for the next part; *place is replaced. */
static int
export_part(struct mmp *mmp, FILE *out, json_t **place, json_int_t *users,
    struct error *e)
{
	const struct call call = { .at = AT_XMPPD,
		.method = "Transfer.Export",
		.params = json_pack("{s:O?}", "place", *place) };
	json_t *result = NULL, *xml;
	int rc = call_daemon(mmp, &call, &result, &mmp->absent, e);

	json_decref(*place);
	*place = NULL;
	if (rc != 0)
		return rc;
	xml = json_object_get(result, "xml");
	if (!json_is_string(xml))
		rc = error_set(
		    e, RES_INVALID, "the server's answer has no document");
	else if (fwrite(json_string_value(xml), 1, json_string_length(xml),
		     out) != json_string_length(xml))
		rc = error_set(e, RES_IO, "the file can't be written: %s",
		    strerror(errno));
	*users = json_integer_value(json_object_get(result, "users"));
	if (json_is_object(json_object_get(result, "place")))
		*place = json_incref(json_object_get(result, "place"));
	json_decref(result);
	return rc;
}

/* Writes all of it to a new file beside, which takes the name when it is on
 * the disk. */
static int
export_to(struct mmp *mmp, const char *path, json_int_t *users, struct error *e)
{
	json_t *place = NULL;
	char *part;
	FILE *out;
	int fd, rc = 0;

	xasprintf(&part, "%s.part", path);
	fd = open(
	    part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (out == NULL) {
		rc = error_set(e, RES_IO, "%s can't be written: %s", path,
		    strerror(errno));
		free(part);
		return rc;
	}
	do {
		rc = export_part(mmp, out, &place, users, e);
	} while (rc == 0 && place != NULL);
	json_decref(place);
	if (rc == 0 && (fflush(out) != 0 || fsync(fd) != 0))
		rc = error_set(e, RES_IO, "%s can't be written: %s", path,
		    strerror(errno));
	fclose(out);
	if (rc == 0 && rename(part, path) != 0)
		rc = error_set(e, RES_IO, "%s can't be written: %s", path,
		    strerror(errno));
	if (rc != 0)
		unlink(part);
	free(part);
	return rc;
}

static int
cmd_export(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	const char *base =
	    json_string_value(json_object_get(params, "basename"));
	json_int_t users = 0;
	char *name, *path;
	int rc;

	xasprintf(&name, "%s.xml", base);
	path = mmp_pki_path(mmp, name, e);
	rc = path == NULL ? RES_INVALID : 0;
	if (rc == 0 && access(path, F_OK) == 0)
		rc = error_set(e, RES_EXISTS,
		    "%s is there already: delete it first with 'pki delete "
		    "%s'",
		    name, name);
	if (rc == 0)
		rc = export_to(mmp, path, &users, e);
	if (rc == 0) {
		*result = json_object();
		pki_add_check(*result, true,
		    "%lld user%s exported to %s in the pki folder; it holds "
		    "the keys of their passwords",
		    (long long)users, users == 1 ? "" : "s", name);
	}
	free(path);
	free(name);
	return rc;
}

/* ---- import ------------------------------------------------------------ */

/* A document that is being imported. */
struct import {
	struct mmp *mmp;
	xmlTextReader *reader;
	char *host;
	bool again;       /* the second time: what they have */
	json_t *accounts; /* that are new, by host and user */
	char *account;    /* NULL: what follows is of nobody */
	json_t *batch;    /* elements that have not been handed on */
	size_t batch_bytes;
	long long users, refused;
	json_t *result;
	size_t faults, ignored;
	json_t *ignored_names;
	struct error *e;
	int rc;
};

static void fault(struct import *im, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
fault(struct import *im, const char *fmt, ...)
{
	char *text;
	va_list ap;

	if (im->faults++ >= FAULTS_SHOWN)
		return;
	va_start(ap, fmt);
	xvasprintf(&text, fmt, ap);
	va_end(ap);
	pki_add_check(im->result, false, "%s", text);
	free(text);
}

static void
note_all(struct import *im, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "wrong"), *one;
	size_t i;

	json_array_foreach(list, i, one)
		fault(im, "%s@%s: %s", im->account, im->host,
		    json_string_value(one));
	list = json_object_get(answer, "ignored");
	json_array_foreach(list, i, one) {
		im->ignored++;
		json_object_set(
		    im->ignored_names, json_string_value(one), json_true());
	}
}

/* Hands on what has been collected. */
static void
batch_send(struct import *im)
{
	struct call call = { .at = AT_XMPPD, .method = "Transfer.Data" };
	json_t *answer = NULL;

	if (json_array_size(im->batch) == 0)
		return;
	call.params = json_pack(
	    "{s:s, s:o}", "account", im->account, "elements", im->batch);
	im->batch = json_array();
	im->batch_bytes = 0;
	if (im->rc != 0) {
		json_decref(call.params);
		return;
	}
	im->rc = call_daemon(im->mmp, &call, &answer, &im->mmp->absent, im->e);
	if (im->rc == 0)
		note_all(im, answer);
	json_decref(answer);
}

static void
batch_add(struct import *im, const char *text)
{
	json_t *element = json_string(text);

	if (element == NULL)
		return;
	json_array_append_new(im->batch, element);
	im->batch_bytes += strlen(text);
	if (json_array_size(im->batch) >= BATCH_COUNT ||
	    im->batch_bytes >= BATCH_BYTES)
		batch_send(im);
}

static char *
attribute(const struct import *im, const char *name)
{
	xmlChar *value =
	    xmlTextReaderGetAttribute(im->reader, (const xmlChar *)name);
	char *copy = value == NULL ? NULL : xstrdup((const char *)value);

	xmlFree(value);
	return copy;
}

static bool
is_element(const struct import *im, const char *name)
{
	const char *ns =
	    (const char *)xmlTextReaderConstNamespaceUri(im->reader);
	const char *local =
	    (const char *)xmlTextReaderConstLocalName(im->reader);

	return str_equal(local, name) && ns != NULL && str_starts(ns, NS_PIE);
}

/* Makes an account, or says why not. */
static void
user_make(struct import *im, const char *user, const char *key)
{
	char *password = attribute(im, "password");
	struct call call = { .at = AT_XMPPD, .method = "Transfer.User" };
	struct error why = { 0 };
	json_t *answer = NULL;

	call.params = json_pack("{s:s, s:s, s:s*}", "domain", im->host, "user",
	    user, "password", password);
	if (call_daemon(im->mmp, &call, &answer, &im->mmp->absent, &why) == 0) {
		json_object_set(
		    im->accounts, key, json_object_get(answer, "account"));
		im->users++;
	} else if (im->mmp->absent || why.code == RES_NO_LEADER) {
		*im->e = why;
		im->rc = why.code;
	} else {
		im->refused++;
		fault(im, "%s", why.text);
	}
	json_decref(answer);
	if (password != NULL)
		explicit_bzero(password, strlen(password));
	free(password);
}

/* A user begins. Accounts are made the first time, so that those who know each
 * other are all there when their rosters come. */
static void
user_begin(struct import *im)
{
	char *user = attribute(im, "name"), *key;
	const json_t *account;

	free(im->account);
	im->account = NULL;
	if (user == NULL) {
		if (!im->again)
			fault(im, "a user without a name");
		return;
	}
	xasprintf(&key, "%s\n%s", im->host, user);
	if (!im->again)
		user_make(im, user, key);
	account = json_object_get(im->accounts, key);
	if (im->again && account != NULL)
		im->account = xstrdup(json_string_value(account));
	free(key);
	free(user);
}

/* An element of the user, whole. */
static void
element_take(struct import *im)
{
	xmlChar *text;

	if (im->account == NULL)
		return;
	text = xmlTextReaderReadOuterXml(im->reader);
	if (text != NULL)
		batch_add(im, (const char *)text);
	xmlFree(text);
}

/* A start tag, by how deep it is. True: what is in it is passed over. */
static bool
start_take(struct import *im)
{
	int depth = xmlTextReaderDepth(im->reader);

	switch (depth) {
	case 0:
		if (is_element(im, "server-data"))
			return false;
		im->rc = error_set(im->e, RES_INVALID,
		    "not a document of XEP-0227: it begins with <%s>",
		    (const char *)xmlTextReaderConstLocalName(im->reader));
		return true;
	case 1:
		free(im->host);
		im->host = is_element(im, "host") ? attribute(im, "jid") : NULL;
		return im->host == NULL;
	case 2:
		if (is_element(im, "user"))
			user_begin(im);
		return im->account == NULL;
	case 3:
		/* What comes later may build on this. */
		batch_send(im);
		if (is_element(im, "offline-messages") ||
		    is_element(im, "archive"))
			return false;
		element_take(im);
		return true;
	default:
		element_take(im);
		return true;
	}
}

static void
document_take(struct import *im)
{
	int more = xmlTextReaderRead(im->reader);
	bool over;

	while (more == 1 && im->rc == 0) {
		over = false;
		switch (xmlTextReaderNodeType(im->reader)) {
		case XML_READER_TYPE_DOCUMENT_TYPE:
			im->rc = error_set(im->e, RES_INVALID,
			    "it has a document type, which none of XEP-0227 "
			    "needs");
			break;
		case XML_READER_TYPE_ELEMENT:
			over = start_take(im);
			break;
		case XML_READER_TYPE_END_ELEMENT:
			if (xmlTextReaderDepth(im->reader) <= 3)
				batch_send(im);
			break;
		default:
			break;
		}
		more = over ? xmlTextReaderNext(im->reader)
			    : xmlTextReaderRead(im->reader);
	}
	if (im->rc == 0 && more < 0)
		im->rc = error_set(im->e, RES_INVALID,
		    "line %d: not well-formed XML; the accounts before it "
		    "were made, without what they have",
		    xmlTextReaderGetParserLineNumber(im->reader));
	batch_send(im);
}

/* ---- files ------------------------------------------------------------- */

static char folder[PATH_MAX]; /* the pki folder, with a "/" behind it */

/* What a document includes: only what is in the pki folder. */
static xmlParserInput *
load_included(const char *url, const char *id, xmlParserCtxt *ctxt)
{
	char path[PATH_MAX];

	(void)id;
	if (url == NULL || realpath(url, path) == NULL ||
	    !str_starts(path, folder))
		return NULL;
	return xmlNewInputFromFile(ctxt, path);
}

static void
no_words(void *arg, const char *msg, ...)
{
	(void)arg;
	(void)msg;
}

/* What was ignored, in one line. */
static void
say_ignored(struct import *im)
{
	struct buf b = { 0 };
	const char *name;
	json_t *value;

	json_object_foreach(im->ignored_names, name, value) {
		buf_add_str(&b, b.len > 0 ? ", " : "");
		buf_add_str(&b, name);
	}
	if (b.len > 0)
		pki_add_check(im->result, true,
		    "%zu element%s passed over, which this server doesn't "
		    "keep: %s",
		    im->ignored, im->ignored == 1 ? "" : "s", buf_str(&b));
	buf_clear(&b);
}

/* What came of it. */
static void
say_end(struct import *im)
{
	say_ignored(im);
	if (im->faults > FAULTS_SHOWN)
		pki_add_check(im->result, false, "and %zu more",
		    im->faults - FAULTS_SHOWN);
	pki_add_check(im->result, im->refused == 0 && im->rc == 0,
	    "%lld user%s imported, %lld not", im->users,
	    im->users == 1 ? "" : "s", im->refused);
	if (im->rc != 0)
		pki_add_check(im->result, false, "%s", im->e->text);
}

/* Reads the document once. */
static void
import_read(struct import *im, const char *path)
{
	xmlExternalEntityLoader before = xmlGetExternalEntityLoader();

	xmlSetExternalEntityLoader(load_included);
	xmlSetGenericErrorFunc(NULL, no_words);
	im->reader = xmlReaderForFile(path, NULL,
	    XML_PARSE_NONET | XML_PARSE_XINCLUDE | XML_PARSE_NOXINCNODE |
		XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (im->reader == NULL)
		im->rc = error_set(im->e, RES_IO, "%s can't be read", path);
	else
		document_take(im);
	xmlFreeTextReader(im->reader);
	xmlSetExternalEntityLoader(before);
	xmlSetGenericErrorFunc(NULL, NULL);
}

static int
import_file(struct mmp *mmp, const char *path, json_t **result, struct error *e)
{
	struct import im = { .mmp = mmp,
		.batch = json_array(),
		.accounts = json_object(),
		.result = json_object(),
		.ignored_names = json_object(),
		.e = e };

	import_read(&im, path);
	im.again = true;
	if (im.rc == 0)
		import_read(&im, path);
	if (mmp->absent && im.users == 0) {
		json_decref(im.result);
		im.result = NULL;
	} else {
		say_end(&im);
	}
	json_decref(im.batch);
	json_decref(im.accounts);
	json_decref(im.ignored_names);
	free(im.host);
	free(im.account);
	*result = im.result;
	return im.result == NULL ? im.rc : 0;
}

static int
cmd_import(
    struct mmp *mmp, const json_t *params, json_t **result, struct error *e)
{
	const struct call there = { .at = AT_XMPPD, .method = "Xmpp.Show" };
	const char *name = json_string_value(json_object_get(params, "file"));
	json_t *shown = NULL;
	char *path = mmp_pki_path(mmp, name, e), *slash, *real;
	int rc;

	if (path == NULL)
		return RES_INVALID;
	real = realpath(path, NULL);
	free(path);
	if (real == NULL)
		return error_set(
		    e, RES_NOT_FOUND, "%s not found in the pki folder", name);
	slash = strrchr(real, '/');
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - real + 1), real);
	/* Not only after a long document. */
	rc = call_daemon(mmp, &there, &shown, &mmp->absent, e);
	json_decref(shown);
	if (rc == 0)
		rc = import_file(mmp, real, result, e);
	free(real);
	return rc;
}

const struct mmp_method user_methods[] = {
	{ "User.Export", cmd_export, NULL },
	{ "User.Import", cmd_import, NULL },
	{ NULL, NULL, NULL },
};
