/* Addresses that servers listen on. */
#ifndef SLM_TOOLS_SERVE_LISTEN_H
#define SLM_TOOLS_SERVE_LISTEN_H

#include <stdint.h>

typedef struct serve_socket {
    int fd;
    char port[8]; /* that clients use: of port 0 the one that was free */
} serve_socket;

/* Listens on a TCP port; who stands before messages. 0, or the exit status after printing why. */
int serve_listen_tcp(const char *who, const char *host, uint32_t port, serve_socket *out);

#endif
