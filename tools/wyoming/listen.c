#define _GNU_SOURCE

#include "server.h"

#include "../cli.h"
#include "../serve/guard.h"
#include "../serve/listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static int listen_tcp(wyoming_listener *l, const char *host, uint32_t port) {
    serve_socket opened;
    int status = serve_listen_tcp("slm-wyoming", host, port, &opened);
    if (status != 0)
        return status;
    int is_v6 = strchr(host, ':') != NULL;
    l->fd = opened.fd;
    snprintf(l->uri, sizeof l->uri, "tcp://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
             opened.port);
    if (!serve_is_loopback(host))
        slm_cli_warn("slm-wyoming: other machines reach %s, and Wyoming knows neither keys nor "
                     "encryption", l->uri);
    return 0;
}

/* A socket that nobody listens at, which a server left behind that could not remove it. */
static int is_stale(const struct sockaddr_un *address) {
    struct stat info;
    if (lstat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int refused = fd >= 0 &&
                  connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                  errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

static int listen_unix(wyoming_listener *l, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path)
        return slm_cli_fail("slm-wyoming: got a path of %zu bytes for a socket, wanted less than "
                            "%zu", len, sizeof address.sun_path);
    memcpy(address.sun_path, path, len + 1);
    if (is_stale(&address))
        unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int status = slm_cli_fail("slm-wyoming: %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    l->fd = fd;
    memcpy(l->path, path, len + 1);
    snprintf(l->uri, sizeof l->uri, "unix://%s", path);
    return 0;
}

/* host:port or [host]:port */
static int listen_uri(wyoming_listener *l, const char *uri, const char *rest) {
    char host[256];
    int64_t port = 0;
    int in_brackets = *rest == '[';
    const char *from = rest + in_brackets, *colon = strrchr(rest, ':');
    const char *end = in_brackets ? strchr(rest, ']') : colon;
    if (!colon || !end || end == from || end + in_brackets != colon ||
        (size_t)(end - from) >= sizeof host || !slm_cli_parse_i64(colon + 1, 0, 65535, &port))
        return slm_cli_usage("option --uri: got \"%s\", wanted tcp://HOST:PORT", uri);
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = '\0';
    return listen_tcp(l, host, (uint32_t)port);
}

int wyoming_listen(const wyoming_options *o, wyoming_listener *l) {
    const char *uri = o->uri;
    *l = (wyoming_listener){.fd = -1};
    if (!uri)
        return listen_tcp(l, o->host, o->port);
    if (strncmp(uri, "tcp://", 6) == 0)
        return listen_uri(l, uri, uri + 6);
    if (strncmp(uri, "unix:///", 8) == 0 && uri[8] != '\0')
        return listen_unix(l, uri + 7);
    if (strcmp(uri, "stdio://") == 0) {
        l->is_stdio = 1;
        snprintf(l->uri, sizeof l->uri, "%s", uri);
        return 0;
    }
    return slm_cli_usage("option --uri: got \"%s\", wanted tcp://HOST:PORT, unix:///PATH or "
                         "stdio://", uri);
}

void wyoming_listener_close(wyoming_listener *l) {
    if (l->fd >= 0)
        close(l->fd);
    if (*l->path)
        unlink(l->path);
    l->fd = -1;
    *l->path = '\0';
}
