/*
 * Stanzas as trees and as text; the error conditions of RFC 6120.
 */
#include "common/stanza.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

#include "common/strutil.h"
#include "common/xmalloc.h"

/* ---- conditions -------------------------------------------------------- */

static const char *const stream_errors[STREAM_ERRORS] = {
	[STREAM_BAD_FORMAT] = "bad-format",
	[STREAM_BAD_NAMESPACE_PREFIX] = "bad-namespace-prefix",
	[STREAM_CONFLICT] = "conflict",
	[STREAM_CONNECTION_TIMEOUT] = "connection-timeout",
	[STREAM_HOST_GONE] = "host-gone",
	[STREAM_HOST_UNKNOWN] = "host-unknown",
	[STREAM_IMPROPER_ADDRESSING] = "improper-addressing",
	[STREAM_INTERNAL_SERVER_ERROR] = "internal-server-error",
	[STREAM_INVALID_FROM] = "invalid-from",
	[STREAM_INVALID_NAMESPACE] = "invalid-namespace",
	[STREAM_INVALID_XML] = "invalid-xml",
	[STREAM_NOT_AUTHORIZED] = "not-authorized",
	[STREAM_NOT_WELL_FORMED] = "not-well-formed",
	[STREAM_POLICY_VIOLATION] = "policy-violation",
	[STREAM_REMOTE_CONNECTION_FAILED] = "remote-connection-failed",
	[STREAM_RESET] = "reset",
	[STREAM_RESOURCE_CONSTRAINT] = "resource-constraint",
	[STREAM_RESTRICTED_XML] = "restricted-xml",
	[STREAM_SEE_OTHER_HOST] = "see-other-host",
	[STREAM_SYSTEM_SHUTDOWN] = "system-shutdown",
	[STREAM_UNDEFINED_CONDITION] = "undefined-condition",
	[STREAM_UNSUPPORTED_ENCODING] = "unsupported-encoding",
	[STREAM_UNSUPPORTED_FEATURE] = "unsupported-feature",
	[STREAM_UNSUPPORTED_STANZA_TYPE] = "unsupported-stanza-type",
	[STREAM_UNSUPPORTED_VERSION] = "unsupported-version",
};

static const struct {
	const char *name, *type;
} stanza_errors[STANZA_ERRORS] = {
	[STANZA_BAD_REQUEST] = { "bad-request", "modify" },
	[STANZA_CONFLICT] = { "conflict", "cancel" },
	[STANZA_FEATURE_NOT_IMPLEMENTED] = { "feature-not-implemented",
	    "cancel" },
	[STANZA_FORBIDDEN] = { "forbidden", "auth" },
	[STANZA_GONE] = { "gone", "cancel" },
	[STANZA_INTERNAL_SERVER_ERROR] = { "internal-server-error", "cancel" },
	[STANZA_ITEM_NOT_FOUND] = { "item-not-found", "cancel" },
	[STANZA_JID_MALFORMED] = { "jid-malformed", "modify" },
	[STANZA_NOT_ACCEPTABLE] = { "not-acceptable", "modify" },
	[STANZA_NOT_ALLOWED] = { "not-allowed", "cancel" },
	[STANZA_NOT_AUTHORIZED] = { "not-authorized", "auth" },
	[STANZA_POLICY_VIOLATION] = { "policy-violation", "modify" },
	[STANZA_RECIPIENT_UNAVAILABLE] = { "recipient-unavailable", "wait" },
	[STANZA_REDIRECT] = { "redirect", "modify" },
	[STANZA_REGISTRATION_REQUIRED] = { "registration-required", "auth" },
	[STANZA_REMOTE_SERVER_NOT_FOUND] = { "remote-server-not-found",
	    "cancel" },
	[STANZA_REMOTE_SERVER_TIMEOUT] = { "remote-server-timeout", "wait" },
	[STANZA_RESOURCE_CONSTRAINT] = { "resource-constraint", "wait" },
	[STANZA_SERVICE_UNAVAILABLE] = { "service-unavailable", "cancel" },
	[STANZA_SUBSCRIPTION_REQUIRED] = { "subscription-required", "auth" },
	[STANZA_UNDEFINED_CONDITION] = { "undefined-condition", "cancel" },
	[STANZA_UNEXPECTED_REQUEST] = { "unexpected-request", "wait" },
};

const char *
stream_error_name(enum stream_error e)
{
	return e > STREAM_ERROR_NONE && e < STREAM_ERRORS
	    ? stream_errors[e]
	    : "undefined-condition";
}

enum stream_error
stream_error_find(const char *name)
{
	for (int i = 1; i < STREAM_ERRORS; i++)
		if (strcmp(stream_errors[i], name) == 0)
			return (enum stream_error)i;
	return STREAM_ERROR_NONE;
}

const char *
stanza_error_name(enum stanza_error e)
{
	return e > 0 && e < STANZA_ERRORS ? stanza_errors[e].name
					  : "undefined-condition";
}

const char *
stanza_error_type(enum stanza_error e)
{
	return e > 0 && e < STANZA_ERRORS ? stanza_errors[e].type : "cancel";
}

enum stanza_error
stanza_error_find(const char *name)
{
	for (int i = 1; i < STANZA_ERRORS; i++)
		if (strcmp(stanza_errors[i].name, name) == 0)
			return (enum stanza_error)i;
	return (enum stanza_error)0;
}

/* ---- writing ----------------------------------------------------------- */

/* What stands for a character. Tab, newline and return would be normalised away
 * in an attribute (XML 1.0, 3.3.3). */
static const char *const escapes[256] = {
	['&'] = "&amp;",
	['<'] = "&lt;",
	['>'] = "&gt;",
	['\''] = "&apos;",
	['\t'] = "&#9;",
	['\n'] = "&#10;",
	['\r'] = "&#13;",
};

/* NULL: it stands for itself. */
static const char *
escape_of(char ch, bool attribute)
{
	if (!attribute && (ch == '\'' || ch == '\t' || ch == '\n'))
		return NULL;
	return escapes[(unsigned char)ch];
}

static void
add_escaped(struct buf *b, const char *text, size_t len, bool attribute)
{
	size_t from = 0;
	const char *escape;

	for (size_t i = 0; i < len; i++) {
		if (escapes[(unsigned char)text[i]] == NULL)
			continue;
		escape = escape_of(text[i], attribute);
		if (escape == NULL)
			continue;
		buf_add(b, text + from, i - from);
		buf_add_str(b, escape);
		from = i + 1;
	}
	buf_add(b, text + from, len - from);
}

void
xml_add_escaped(struct buf *b, const char *text, size_t len)
{
	add_escaped(b, text, len, false);
}

void
xml_add_text(struct buf *b, const char *text)
{
	add_escaped(b, text, strlen(text), false);
}

void
xml_add_attr_n(struct buf *b, const char *name, const char *value, size_t len)
{
	if (value == NULL)
		return;
	buf_add(b, " ", 1);
	buf_add_str(b, name);
	buf_add(b, "='", 2);
	add_escaped(b, value, len, true);
	buf_add(b, "'", 1);
}

void
xml_add_attr(struct buf *b, const char *name, const char *value)
{
	if (value != NULL)
		xml_add_attr_n(b, name, value, strlen(value));
}

void
xml_add_stanza_error(struct buf *b, enum stanza_error e, const char *text)
{
	buf_addf(b, "<error type='%s'><%s xmlns='" NS_STANZA_ERRORS "'/>",
	    stanza_error_type(e), stanza_error_name(e));
	if (text != NULL) {
		buf_add_str(
		    b, "<text xmlns='" NS_STANZA_ERRORS "' xml:lang='en'>");
		xml_add_text(b, text);
		buf_add_str(b, "</text>");
	}
	buf_add_str(b, "</error>");
}

/* ---- the tree ---------------------------------------------------------- */

#define ARENA_BLOCK 2048

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	max_align_t data[];
};

struct xml_tree {
	struct xml root; /* first: a root is its tree */
	struct arena_block *blocks;
};

/* A tree being built. */
struct tree_parser {
	struct xml_tree *tree;
	struct xml *open; /* the element that is open now */
	struct buf text;  /* character data of all open elements */
	unsigned depth;   /* 1: the wrapper */
	bool have_root, failed;
	/* By depth, of those that are open; not set before. */
	size_t text_from[1024]; /* where the text of each begins */
	size_t settled[1024];   /* and what of it no lead or tail has */
};

#define TREE_DEPTH                                                             \
	(sizeof(((struct tree_parser *)0)->text_from) / sizeof(size_t))

static void *
arena_alloc(struct xml_tree *tree, size_t size)
{
	struct arena_block *block = tree->blocks;
	size_t want = (size + 15) & ~(size_t)15;
	size_t room = want > ARENA_BLOCK ? want : ARENA_BLOCK;
	void *ptr;

	if (block == NULL || block->size - block->used < want) {
		block = xmalloc(sizeof(*block) + room);
		*block = (struct arena_block){ tree->blocks, 0, room };
		tree->blocks = block;
	}
	ptr = (char *)block->data + block->used;
	block->used += want;
	memset(ptr, 0, size);
	return ptr;
}

static const char *
arena_text(struct xml_tree *tree, const void *text, size_t len)
{
	char *copy = arena_alloc(tree, len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static const char *
arena_str(struct xml_tree *tree, const xmlChar *text)
{
	return arena_text(tree, text, strlen((const char *)text));
}

/* "xml:lang": the prefix that needs no declaration is kept. */
static const char *
arena_xml_name(struct xml_tree *tree, const char *name)
{
	size_t len = strlen(name) + sizeof("xml:");
	char *full = arena_alloc(tree, len);

	snprintf(full, len, "xml:%s", name);
	return full;
}

static void
tree_add_attrs(
    struct tree_parser *p, struct xml *x, int count, const xmlChar **at)
{
	struct xml_attr **last = &x->attrs, *a;

	/* libxml2: localname, prefix, URI, value, end of value, five each. */
	for (int i = 0; i < count; i++, at += 5) {
		a = arena_alloc(p->tree, sizeof(*a));
		a->ns = at[2] == NULL ? NULL : arena_str(p->tree, at[2]);
		a->name =
		    at[1] != NULL && xmlStrEqual(at[1], (const xmlChar *)"xml")
		    ? arena_xml_name(p->tree, (const char *)at[0])
		    : arena_str(p->tree, at[0]);
		a->value = arena_text(p->tree, at[3], (size_t)(at[4] - at[3]));
		*last = a;
		last = &a->next;
	}
}

static struct xml *
tree_add_element(struct tree_parser *p)
{
	struct xml *x;

	if (p->open == NULL) {
		if (p->have_root) {
			p->failed = true;
			return NULL;
		}
		p->have_root = true;
		return &p->tree->root;
	}
	x = arena_alloc(p->tree, sizeof(*x));
	x->parent = p->open;
	if (p->open->last == NULL)
		p->open->children = x;
	else
		p->open->last->next = x;
	p->open->last = x;
	return x;
}

/* The text so far is the open element's lead, or its last child's tail. */
static void
tree_settle_text(struct tree_parser *p)
{
	size_t from = p->settled[p->depth];
	const char *text = p->text.len == from
	    ? ""
	    : arena_text(p->tree, p->text.data + from, p->text.len - from);

	if (p->open->last == NULL)
		p->open->lead = text;
	else
		p->open->last->tail = text;
	p->settled[p->depth] = p->text.len;
}

static void
/* NOLINTNEXTLINE(readability-function-size): libxml2 gives the parameters */
tree_start(void *arg, const xmlChar *name, const xmlChar *prefix,
    const xmlChar *uri, int ns_count, const xmlChar **ns, int attr_count,
    int defaulted, const xmlChar **attrs)
{
	struct tree_parser *p = arg;
	struct xml *x;

	(void)prefix, (void)ns_count, (void)ns, (void)defaulted;
	if (p->failed)
		return;
	if (p->open != NULL)
		tree_settle_text(p);
	if (p->depth++ == 0)
		return;
	if (p->depth >= TREE_DEPTH || (x = tree_add_element(p)) == NULL) {
		p->failed = true;
		return;
	}
	x->name = arena_str(p->tree, name);
	x->ns = uri == NULL ? "" : arena_str(p->tree, uri);
	x->text = x->lead = x->tail = "";
	tree_add_attrs(p, x, attr_count, attrs);
	p->open = x;
	p->text_from[p->depth] = p->settled[p->depth] = p->text.len;
}

static void
tree_end(
    void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct tree_parser *p = arg;
	size_t from;

	(void)name, (void)prefix, (void)uri;
	if (p->failed)
		return;
	if (p->depth == 1) {
		p->depth = 0;
		return;
	}
	tree_settle_text(p);
	from = p->text_from[p->depth--];
	if (p->open->children == NULL)
		p->open->text = p->open->lead;
	else if (p->text.len > from)
		p->open->text = arena_text(
		    p->tree, p->text.data + from, p->text.len - from);
	p->text.len = from;
	p->open = p->open->parent;
}

/*
 * Text of an element that has children before it would be cut off from its
 * beginning by them; so children's text is removed at their end and the rest
 * stays where it is.
 */
static void
tree_text(void *arg, const xmlChar *text, int len)
{
	struct tree_parser *p = arg;

	if (!p->failed && p->open != NULL)
		buf_add(&p->text, text, (size_t)len);
}

static void
tree_error(void *arg, xmlErrorPtr error)
{
	struct tree_parser *p = arg;

	if (error->level >= XML_ERR_ERROR && error->code != XML_WAR_NS_URI)
		p->failed = true;
}

static const xmlSAXHandler tree_sax = {
	.initialized = XML_SAX2_MAGIC,
	.startElementNs = tree_start,
	.endElementNs = tree_end,
	.characters = tree_text,
	.cdataBlock = tree_text,
	.serror = tree_error,
};

struct xml *
xml_parse(const char *bytes, size_t len)
{
	static const char open[] = "<s xmlns='" NS_CLIENT "'>";
	struct tree_parser p;
	xmlSAXHandler sax = tree_sax;
	xmlParserCtxtPtr ctxt;

	memset(&p, 0, offsetof(struct tree_parser, text_from));
	p.tree = xcalloc(1, sizeof(*p.tree));
	ctxt = xmlCreatePushParserCtxt(&sax, &p, open, sizeof(open) - 1, NULL);
	if (ctxt == NULL || len > INT32_MAX)
		p.failed = true;
	else {
		/* NOENT: or "&amp;" in an attribute is given as "&#38;". */
		xmlCtxtUseOptions(ctxt, XML_PARSE_NONET | XML_PARSE_NOENT);
		xmlParseChunk(ctxt, bytes, (int)len, 0);
		xmlParseChunk(ctxt, "</s>", 4, 1);
	}
	if (p.depth != 0)
		p.failed = true;
	xmlFreeParserCtxt(ctxt);
	buf_clear(&p.text);
	if (p.failed || !p.have_root) {
		xml_free(&p.tree->root);
		return NULL;
	}
	return &p.tree->root;
}

void
xml_free(struct xml *root)
{
	struct xml_tree *tree = (struct xml_tree *)(void *)root;
	struct arena_block *block, *next;

	if (root == NULL)
		return;
	for (block = tree->blocks; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	free(tree);
}

const char *
xml_attr(const struct xml *x, const char *name)
{
	for (const struct xml_attr *a = x->attrs; a != NULL; a = a->next)
		if (strcmp(a->name, name) == 0 &&
		    (a->ns == NULL || strchr(name, ':') != NULL))
			return a->value;
	return NULL;
}

bool
xml_is_true(const char *value)
{
	return value != NULL &&
	    (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

static struct xml *
find_from(struct xml *x, const char *name, const char *ns)
{
	for (; x != NULL; x = x->next)
		if ((name == NULL || strcmp(x->name, name) == 0) &&
		    (ns == NULL || strcmp(x->ns, ns) == 0))
			return x;
	return NULL;
}

struct xml *
xml_child(const struct xml *x, const char *name, const char *ns)
{
	return find_from(x->children, name, ns);
}

struct xml *
xml_next(const struct xml *x, const char *name, const char *ns)
{
	return find_from(x->next, name, ns);
}

const char *
xml_child_text(const struct xml *x, const char *name)
{
	const struct xml *child = xml_child(x, name, NULL);

	return child == NULL ? NULL : child->text;
}

static void
write_attrs(struct buf *b, const struct xml *x)
{
	unsigned prefixes = 0;
	char name[32];

	for (const struct xml_attr *a = x->attrs; a != NULL; a = a->next) {
		if (a->ns == NULL || strchr(a->name, ':') != NULL) {
			xml_add_attr(b, a->name, a->value);
			continue;
		}
		snprintf(name, sizeof(name), "xmlns:a%u", ++prefixes);
		xml_add_attr(b, name, a->ns);
		buf_addf(b, " a%u:%s='", prefixes, a->name);
		add_escaped(b, a->value, strlen(a->value), true);
		buf_add(b, "'", 1);
	}
}

static void
write_element(struct buf *b, const struct xml *x, const char *around)
{
	buf_addf(b, "<%s", x->name);
	if (around == NULL || strcmp(x->ns, around) != 0)
		xml_add_attr(b, "xmlns", x->ns);
	write_attrs(b, x);
	if (x->children == NULL && x->text[0] == '\0') {
		buf_add_str(b, "/>");
		return;
	}
	buf_add_str(b, ">");
	xml_add_text(b, x->lead);
	for (const struct xml *c = x->children; c != NULL; c = c->next) {
		write_element(b, c, x->ns);
		xml_add_text(b, c->tail);
	}
	buf_addf(b, "</%s>", x->name);
}

void
xml_write(struct buf *b, const struct xml *x)
{
	write_element(b, x, NS_CLIENT);
}

void
xml_write_whole(struct buf *b, const struct xml *x)
{
	write_element(b, x, NULL);
}

void
stanza_insert(
    struct buf *out, const void *stanza, size_t len, const char *child)
{
	const char *s = stanza;
	size_t at = len, name = 1;

	/* Our own writer made these bytes: either ".../>" or "...</name>". */
	if (len >= 2 && s[len - 2] == '/' && memchr(s, '<', len) == s &&
	    memrchr(s, '<', len) == s) {
		while (name < len && strchr(" />", s[name]) == NULL)
			name++;
		buf_add(out, s, len - 2);
		buf_add_str(out, ">");
		buf_add_str(out, child);
		buf_add_str(out, "</");
		buf_add(out, s + 1, name - 1);
		buf_add_str(out, ">");
		return;
	}
	while (at > 0 && s[at - 1] != '<')
		at--;
	at = at > 0 ? at - 1 : 0;
	buf_add(out, s, at);
	buf_add_str(out, child);
	buf_add(out, s + at, len - at);
}
