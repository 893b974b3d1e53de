#ifndef MMP_NODE_H
#define MMP_NODE_H

/* The node's host name: ROOT/hostname, else the system's. The caller frees. */
char *node_hostname(const char *root);

#endif
