#define _GNU_SOURCE

#include "listen.h"

#include "../cli.h"
#include "server.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int bind_one(const struct addrinfo *a, const char **what) {
    int one = 1;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    *what = "socket";
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    *what = "bind";
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0) {
        *what = "listen";
        if (listen(fd, 1024) == 0)
            return fd;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int serve_listen_tcp(const char *who, const char *host, uint32_t port, serve_socket *out) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    const char *what = "bind";
    *out = (serve_socket){.fd = -1};
    snprintf(out->port, sizeof out->port, "%u", port);
    int code = getaddrinfo(host, out->port, &hints, &list);
    if (code != 0)
        return slm_cli_fail("%s: %s: %s", who, host, gai_strerror(code));
    errno = EAFNOSUPPORT;
    for (struct addrinfo *a = list; a && out->fd < 0; a = a->ai_next)
        out->fd = bind_one(a, &what);
    freeaddrinfo(list);
    if (out->fd < 0)
        return slm_cli_fail("%s: %s port %u: %s: %s", who, host, port, what, strerror(errno));
    if (getsockname(out->fd, (struct sockaddr *)&address, &size) == 0 && size <= sizeof address) {
        char text[sizeof out->port] = "";
        if (getnameinfo((struct sockaddr *)&address, size, NULL, 0, text, sizeof text,
                        NI_NUMERICSERV) == 0)
            memcpy(out->port, text, sizeof text);
    }
    return 0;
}

int serve_listen(serve_server *server) {
    serve_socket opened;
    int status = serve_listen_tcp("serve", server->options->host, server->options->port, &opened);
    if (status != 0)
        return status;
    memcpy(server->port_text, opened.port, sizeof server->port_text);
    server->listen_fd = opened.fd;
    return 0;
}
