#ifndef XMPPD_HOLDER_H
#define XMPPD_HOLDER_H

#include <stddef.h>

struct sockaddr_storage;

/* Says which process listens on an address and port, or on all addresses:
 * "nginx (pid 123)", as far as this process may see. */
void holder_find(const struct sockaddr_storage *sa, char *out, size_t size);

#endif
