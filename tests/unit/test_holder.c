/* Who holds a port, told apart by address and family. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xmppd/holder.h"

static struct sockaddr_storage
address(const char *text, uint16_t port)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in6 *sin6 = (void *)&sa;
	struct sockaddr_in *sin = (void *)&sa;

	if (strchr(text, ':') != NULL) {
		sa.ss_family = AF_INET6;
		assert_int_equal(
		    inet_pton(AF_INET6, text, &sin6->sin6_addr), 1);
	} else {
		sa.ss_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &sin->sin_addr), 1);
	}
	sin->sin_port = htons(port);
	return sa;
}

/* Listens, on a free port if it is 0; -1 where there is no such family. */
static int
listens(const char *text, uint16_t *port)
{
	struct sockaddr_storage sa = address(text, *port);
	socklen_t len = sizeof(sa);
	int off = 0, fd = socket(sa.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	if (sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (void *)&sa,
		sa.ss_family == AF_INET ? sizeof(struct sockaddr_in)
					: sizeof(struct sockaddr_in6)) != 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (void *)&sa, &len), 0);
	*port = ntohs(((struct sockaddr_in *)&sa)->sin_port);
	return fd;
}

static void
assert_held(const char *text, uint16_t port, pid_t pid)
{
	struct sockaddr_storage sa = address(text, port);
	char got[128], want[64];

	holder_find(&sa, got, sizeof(got));
	if (pid == 0)
		snprintf(want, sizeof(want), "another process");
	else
		snprintf(want, sizeof(want), "test_holder (pid %d)", (int)pid);
	assert_string_equal(got, want);
}

static void
the_same_port_of_another_address_is_not_meant(void **state)
{
	uint16_t port = 0;
	int mine = listens("127.0.0.1", &port), ready[2];
	pid_t child;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		close(mine);
		c = listens("127.0.0.2", &port) >= 0 ? 'y' : 'n';
		if (write(ready[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_held("127.0.0.1", port, getpid());
	assert_held("127.0.0.2", port, child);
	assert_held("127.0.0.3", port, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	close(mine);
}

static void
all_addresses_are_in_the_way_of_each(void **state)
{
	uint16_t port = 0;
	int fd = listens("0.0.0.0", &port);

	(void)state;
	assert_held("127.0.0.2", port, getpid());
	close(fd);
}

static void
a_socket_of_ipv6_may_be_in_the_way_of_ipv4(void **state)
{
	static const char *const holders[] = { "::", "::ffff:127.0.0.1" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint16_t port = 0;
		int fd = listens(holders[i], &port);

		if (fd < 0)
			skip();
		assert_held("127.0.0.1", port, getpid());
		assert_held("127.0.0.2", port, i == 0 ? getpid() : 0);
		close(fd);
	}
}

static void
ipv6_addresses_are_told_apart(void **state)
{
	uint16_t port = 0;
	int fd = listens("::1", &port);

	(void)state;
	if (fd < 0)
		skip();
	assert_held("::1", port, getpid());
	assert_held("::2", port, 0);
	assert_held("127.0.0.1", port, 0);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_port_of_another_address_is_not_meant),
		cmocka_unit_test(all_addresses_are_in_the_way_of_each),
		cmocka_unit_test(a_socket_of_ipv6_may_be_in_the_way_of_ipv4),
		cmocka_unit_test(ipv6_addresses_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
