/*
 * interfaces.json, and what `xmpp listen` takes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/interfaces.h"
#include "common/strutil.h"

static char folder[] = "/tmp/mmp-test-interfaces.XXXXXX";
static char path[64];

static struct interfaces *
load(const char *text, struct error *e)
{
	assert_int_equal(file_write(path, text, strlen(text), 0644), 0);
	e->text[0] = '\0';
	return interfaces_load(folder, e);
}

static const struct {
	const char *text, *error;
} files[] = {
	{ "{}", NULL },
	{ "{\"a\":{\"addresses\":[\"127.0.1.11\"]}}", NULL },
	{ "{\"A\":{\"interface\":\"lo\"}}", NULL },
	{ "", "line 1" },
	{ "[]", "not a JSON object" },
	{ "{\"a\":{\"addresses\":[\"127.0.1.11\"]}", "line 1" },
	{ "{\"a\":{\"interface\":\"x\"},\"a\":{\"interface\":\"y\"}}",
	    "duplicate" },
	{ "{\"e\":{\"interface\":\"eth0\"}}", "\"e\" isn't an interface" },
	{ "{\"a\":\"eth0\"}", "must be" },
	{ "{\"a\":{}}", "must be" },
	{ "{\"a\":{\"interface\":1}}", "must be" },
	{ "{\"a\":{\"addresses\":[]}}", "must be" },
	{ "{\"a\":{\"addresses\":[\"localhost\"]}}", "not an address" },
	{ "{\"a\":{\"addresses\":[1]}}", "not an address" },
	{ "{\"a\":{\"interface\":\"x\",\"addresses\":[\"::1\"]}}", "must be" },
};

static void
a_malformed_file_is_named_with_its_fault(void **state)
{
	struct interfaces *i;
	struct error e;

	(void)state;
	for (size_t n = 0; n < sizeof(files) / sizeof(files[0]); n++) {
		i = load(files[n].text, &e);
		assert_int_equal(i != NULL, files[n].error == NULL);
		if (i == NULL) {
			assert_non_null(strstr(e.text, files[n].error));
			assert_non_null(strstr(e.text, "/interfaces.json: "));
		}
		interfaces_free(i);
	}
}

static void
addresses_come_in_the_order_of_the_file(void **state)
{
	struct sockaddr_storage *out;
	struct sockaddr_in in4;
	struct interfaces *i;
	struct error e;
	size_t count, at = 0;

	(void)state;
	i = load("{\"b\":{\"addresses\":[\"10.0.0.9\",\"::1\",\"10.0.0.1\"]},"
		 "\"a\":{\"addresses\":[\"127.0.1.1\"]}}",
	    &e);
	assert_string_equal(interfaces_next(i, &at), "a");
	assert_string_equal(interfaces_next(i, &at), "b");
	assert_string_equal(interfaces_next(i, &at), "lo");
	assert_null(interfaces_next(i, &at));
	assert_int_equal(interfaces_addresses(i, "B", &out, &count, &e), 0);
	assert_int_equal(count, 3);
	memcpy(&in4, &out[0], sizeof(in4));
	assert_int_equal(in4.sin_addr.s_addr, inet_addr("10.0.0.9"));
	assert_int_equal(in4.sin_port, 0);
	assert_int_equal(out[1].ss_family, AF_INET6);
	free(out);
	assert_int_equal(
	    interfaces_addresses(i, "c", &out, &count, &e), RES_NOT_FOUND);
	interfaces_free(i);
}

static void
the_loopback_is_there_without_being_named(void **state)
{
	struct sockaddr_storage *out;
	struct interfaces *i;
	struct error e;
	size_t count;

	(void)state;
	unlink(path);
	i = interfaces_load(folder, &e);
	assert_non_null(i);
	assert_int_equal(interfaces_addresses(i, "lo", &out, &count, &e), 0);
	assert_int_equal(out[0].ss_family, AF_INET);
	free(out);
	interfaces_free(i);
}

static void
an_interface_of_the_system_gives_its_addresses(void **state)
{
	struct sockaddr_storage *out;
	struct interfaces *i;
	struct error e;
	size_t count;

	(void)state;
	i = load("{\"a\":{\"interface\":\"lo\"},"
		 "\"b\":{\"interface\":\"nosuch9\"}}",
	    &e);
	assert_string_equal(interfaces_system_name(i, "a"), "lo");
	assert_null(interfaces_system_name(i, "lo"));
	assert_int_equal(interfaces_addresses(i, "a", &out, &count, &e), 0);
	free(out);
	assert_int_equal(
	    interfaces_addresses(i, "b", &out, &count, &e), RES_STATE);
	assert_string_equal(e.text, "interface b (nosuch9) has no address");
	interfaces_free(i);
}

static const struct {
	const char *text, *name;
	uint16_t client, component;
} specs[] = {
	{ "a", "a", 5222, 5223 },
	{ "LO", "lo", 5222, 5223 },
	{ "b:1", "b", 1, 5223 },
	{ "c:65535:1", "c", 65535, 1 },
	{ "d:5223:5222", "d", 5223, 5222 },
	{ "", NULL, 0, 0 },
	{ "e", NULL, 0, 0 },
	{ "ab", NULL, 0, 0 },
	{ ":5222", NULL, 0, 0 },
	{ "a:", NULL, 0, 0 },
	{ "a:0", NULL, 0, 0 },
	{ "a:65536", NULL, 0, 0 },
	{ "a:x", NULL, 0, 0 },
	{ "a:1:", NULL, 0, 0 },
	{ "a:1:2:3", NULL, 0, 0 },
	{ "a:1:2:", NULL, 0, 0 },
	{ "a:5223", NULL, 0, 0 },
	{ "a:7:7", NULL, 0, 0 },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, 0, 0 },
};

static void
listen_takes_an_interface_and_two_ports(void **state)
{
	struct listen_spec spec;
	struct error e;
	int rc;

	(void)state;
	for (size_t n = 0; n < sizeof(specs) / sizeof(specs[0]); n++) {
		rc = listen_spec_parse(specs[n].text, &spec, &e);
		assert_int_equal(rc == 0, specs[n].name != NULL);
		if (rc != 0)
			continue;
		assert_string_equal(spec.name, specs[n].name);
		assert_int_equal(spec.client_port, specs[n].client);
		assert_int_equal(spec.component_port, specs[n].component);
	}
}

static void
websocket_takes_an_interface_and_one_port(void **state)
{
	static const struct {
		const char *text, *name;
		unsigned port;
	} rows[] = {
		{ "a", "a", 5443 },
		{ "LO:443", "lo", 443 },
		{ "a:1:2", NULL, 0 },
		{ "a:", NULL, 0 },
		{ "a:0", NULL, 0 },
		{ "e", NULL, 0 },
		{ "", NULL, 0 },
		{ "a:11111111111111111111111111111111", NULL, 0 },
	};
	struct listen_spec spec;
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = websocket_spec_parse(rows[i].text, &spec, &e);

		assert_int_equal(rc == 0, rows[i].name != NULL);
		if (rc != 0)
			continue;
		assert_string_equal(spec.name, rows[i].name);
		assert_int_equal(spec.client_port, rows[i].port);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_malformed_file_is_named_with_its_fault),
		cmocka_unit_test(addresses_come_in_the_order_of_the_file),
		cmocka_unit_test(the_loopback_is_there_without_being_named),
		cmocka_unit_test(
		    an_interface_of_the_system_gives_its_addresses),
		cmocka_unit_test(listen_takes_an_interface_and_two_ports),
		cmocka_unit_test(websocket_takes_an_interface_and_one_port),
	};
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/interfaces.json", folder);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(folder);
	return rc;
}
