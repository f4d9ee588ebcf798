/* Who may speak to the server: the key, the name in Host, the page in Origin. */
#ifndef SLM_TOOLS_SERVE_GUARD_H
#define SLM_TOOLS_SERVE_GUARD_H

#include "server.h"

/* The Host header names this server. Names are never resolved: a page of another site whose name was
 * made to point here (DNS rebinding) is told by its name. */
int serve_guard_host(const serve_server *server, struct MHD_Connection *connection,
                     serve_fault *fault);
/* The Origin header is absent, this server's, or one that the options allow; *allowed is then what
 * the reply has to echo, or NULL. */
int serve_guard_origin(const serve_server *server, struct MHD_Connection *connection,
                       const char **allowed, serve_fault *fault);
/* The request has one of the keys, where there are keys. */
int serve_guard_key(const serve_server *server, struct MHD_Connection *connection,
                    serve_fault *fault);

/* Reads keys, one a line. 0, or the exit status after printing why. */
int serve_read_keys(const char *path, serve_options *options);
void serve_free_keys(serve_options *options);
/* Whether an address is one that no other machine reaches: a name or a number of loopback. */
int serve_is_loopback(const char *host);

#endif
