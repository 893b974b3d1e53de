/* Trees, texts and conditions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/stanza.h"

static void
a_tree_written_back_is_the_same_bytes(void **state)
{
	static const char *const rows[] = {
		"<message xml:lang='de' xml:space='x' xml:base='b'/>",
		"<presence/>",
		"<message to='a@b' id='1'><body>x &lt; y</body></message>",
		"<iq type='set'><query xmlns='jabber:iq:roster'>"
		"<item jid='a@b'><group>g</group></item></query></iq>",
		"<message><f xmlns='u'><message xmlns='jabber:client'/></f>"
		"</message>",
		"<message xml:lang='en'><x xmlns='' "
		"a='&apos;&#10;&amp;'/></message>",
		"<m xmlns='other'><a/></m>",
		"<m>1<a>2<b/>3<b/></a>4<c xml:lang='en'>5</c><c/>6</m>",
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xml *x = xml_parse(rows[i], strlen(rows[i]));

		assert_non_null(x);
		buf_reset(&b);
		xml_write(&b, x);
		assert_string_equal(buf_str(&b), rows[i]);
		xml_free(x);
	}
	buf_clear(&b);
}

static void
finds_children_attributes_and_text(void **state)
{
	static const char in[] =
	    "<iq id='7' xml:lang='de'><q xmlns='u'>1<i n='a'/>"
	    "2<j/><i n='b'/>3</q><q>z</q></iq>";
	struct xml *x = xml_parse(in, strlen(in)), *q, *i;

	(void)state;
	assert_string_equal(x->name, "iq");
	assert_string_equal(x->ns, NS_CLIENT);
	assert_string_equal(xml_attr(x, "id"), "7");
	assert_string_equal(xml_attr(x, "xml:lang"), "de");
	assert_null(xml_attr(x, "to"));
	q = xml_child(x, "q", "u");
	assert_string_equal(q->text, "123");
	i = xml_child(q, "i", NULL);
	assert_string_equal(xml_attr(i, "n"), "a");
	i = xml_next(i, "i", NULL);
	assert_string_equal(xml_attr(i, "n"), "b");
	assert_null(xml_next(i, "i", NULL));
	assert_string_equal(xml_child(x, "q", NS_CLIENT)->text, "z");
	xml_free(x);
}

static void
bytes_that_are_no_stanza_have_no_tree(void **state)
{
	static const char *const rows[] = { "", "x", "<a>", "<a></b>",
		"<a/><b/>", "</s><s>", "<a>&foo;</a>", "<p:a/>", "<a" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (xml_parse(rows[i], strlen(rows[i])) != NULL)
			fail_msg("%s has a tree", rows[i]);
}

static void
a_child_is_inserted_at_the_end(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "<message id='1'/>", "<message id='1'><d/></message>" },
		{ "<message/>", "<message><d/></message>" },
		{ "<message><body>x</body></message>",
		    "<message><body>x</body><d/></message>" },
		{ "<message><a/></message>", "<message><a/><d/></message>" },
	};
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&b);
		stanza_insert(&b, rows[i].in, strlen(rows[i].in), "<d/>");
		assert_string_equal(buf_str(&b), rows[i].out);
	}
	buf_clear(&b);
}

static void
each_condition_has_a_name_and_is_found_by_it(void **state)
{
	(void)state;
	for (int i = 1; i < STREAM_ERRORS; i++)
		assert_int_equal(
		    stream_error_find(stream_error_name((enum stream_error)i)),
		    i);
	for (int i = 1; i < STANZA_ERRORS; i++) {
		enum stanza_error e = (enum stanza_error)i;

		assert_int_equal(stanza_error_find(stanza_error_name(e)), e);
		assert_non_null(
		    strstr("cancel modify wait auth", stanza_error_type(e)));
	}
	assert_int_equal(stream_error_find("nonsense"), STREAM_ERROR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_written_back_is_the_same_bytes),
		cmocka_unit_test(finds_children_attributes_and_text),
		cmocka_unit_test(bytes_that_are_no_stanza_have_no_tree),
		cmocka_unit_test(a_child_is_inserted_at_the_end),
		cmocka_unit_test(each_condition_has_a_name_and_is_found_by_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
