#define _GNU_SOURCE

#include "guard.h"

#include "../cli.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_KEYS = 1000, MAX_KEY = 512 };

static const char *header(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

int serve_is_loopback(const char *host) {
    struct in_addr four;
    struct in6_addr six;
    if (strcasecmp(host, "localhost") == 0)
        return 1;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* Cuts "name:port" and "[::1]:port" apart; 0 when it is neither. port is "" where there is none. */
static int split_host(const char *text, char *name, size_t cap, const char **port) {
    const char *begin = text, *end;
    if (*text == '[') {
        begin++;
        end = strchr(begin, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return 0;
        *port = end[1] == ':' ? end + 2 : "";
    } else {
        end = strchrnul(begin, ':');
        *port = *end == ':' ? end + 1 : "";
    }
    size_t n = (size_t)(end - begin);
    if (n == 0 || n >= cap || strspn(*port, "0123456789") != strlen(*port))
        return 0;
    memcpy(name, begin, n);
    name[n] = '\0';
    return 1;
}

/* A name that was given on the command line: any port where it has none itself. */
static int is_listed(const serve_options *o, const char *name, const char *port) {
    for (size_t i = 0; i < o->n_hosts; i++) {
        char listed[256];
        const char *listed_port;
        if (split_host(o->hosts[i], listed, sizeof listed, &listed_port) &&
            strcasecmp(listed, name) == 0 && (!*listed_port || strcmp(listed_port, port) == 0))
            return 1;
    }
    return 0;
}

static int is_address(const char *name) {
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static int host_is_ours(const serve_server *server, const char *text) {
    const serve_options *o = server->options;
    char name[256];
    const char *port;
    if (!split_host(text, name, sizeof name, &port))
        return 0;
    if (is_listed(o, name, port))
        return 1;
    if (strcmp(*port ? port : "80", server->port_text) != 0)
        return 0;
    if (serve_is_loopback(name) || strcasecmp(name, o->host) == 0)
        return 1;
    return !o->loopback && is_address(name); /* an address cannot be made to point elsewhere */
}

int serve_guard_host(const serve_server *server, struct MHD_Connection *connection,
                     serve_fault *fault) {
    const char *host = header(connection, "Host");
    if (host && host_is_ours(server, host))
        return 1;
    return serve_refuse(fault, 403, "host_not_allowed", NULL,
                        "Host: %s, wanted the server's own name and port (--allow-host adds names)",
                        host ? "got another name or port" : "got none");
}

int serve_guard_origin(const serve_server *server, struct MHD_Connection *connection,
                       const char **allowed, serve_fault *fault) {
    const char *origin = header(connection, "Origin"), *host = header(connection, "Host");
    *allowed = NULL;
    if (!origin)
        return 1;
    for (size_t i = 0; i < server->options->n_origins; i++)
        if (strcmp(origin, server->options->origins[i]) == 0) {
            *allowed = server->options->origins[i];
            return 1;
        }
    if (host && (strncmp(origin, "http://", 7) == 0 || strncmp(origin, "https://", 8) == 0) &&
        strcasecmp(strstr(origin, "//") + 2, host) == 0)
        return 1; /* the page that this server gave */
    return serve_refuse(fault, 403, "origin_not_allowed", NULL,
                        "Origin: got another site, wanted none or one of --allow-origin");
}

/* As long for a key that is wrong in its first byte as for one that is wrong in its last. */
static int same_key(const char *key, const char *got, size_t got_len) {
    size_t len = strlen(key);
    unsigned differs = len != got_len;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned)(unsigned char)key[i] ^ (unsigned char)(i < got_len ? got[i] : 0);
    return differs == 0;
}

int serve_guard_key(const serve_server *server, struct MHD_Connection *connection,
                    serve_fault *fault) {
    static const char scheme[] = "Bearer ";
    const serve_options *o = server->options;
    const char *got = header(connection, "Authorization");
    int found = 0;
    if (o->n_keys == 0)
        return 1;
    if (got && strncasecmp(got, scheme, sizeof scheme - 1) == 0) {
        const char *key = got + sizeof scheme - 1;
        size_t len = strlen(key);
        for (size_t i = 0; i < o->n_keys; i++)
            found |= same_key(o->keys[i], key, len);
    }
    if (found)
        return 1;
    return serve_refuse(fault, 401, "invalid_api_key", NULL,
                        got ? "Authorization: got a key that is not known, wanted one of the server"
                            : "Authorization: got none, wanted \"Bearer \" and a key");
}

int serve_read_keys(const char *path, serve_options *o) {
    char *data = NULL;
    size_t size = 0;
    struct stat info;
    int status = slm_cli_read_all(path, &data, &size);
    if (status != 0)
        return status;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & (S_IRWXG | S_IRWXO)))
        slm_cli_warn("%s: others may read this file of keys (chmod 600)", path);
    o->keys = calloc(MAX_KEYS, sizeof *o->keys);
    if (!o->keys)
        status = slm_cli_fail("%s: got no memory for the keys", path);
    char *rest = data;
    for (size_t line = 1; status == 0 && rest && *rest; line++) {
        char *text = rest, *end = strchr(rest, '\n');
        rest = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        size_t len = strcspn(text, "\r");
        text[len] = '\0';
        if (len == 0)
            continue;
        for (size_t i = 0; i < len && status == 0; i++)
            if (text[i] <= ' ' || text[i] > '~')
                status = slm_cli_fail("%s: line %zu: got a byte that is no printable ASCII, wanted a "
                                      "key", path, line);
        if (status == 0 && len > MAX_KEY)
            status = slm_cli_fail("%s: line %zu: got a key of %zu bytes, wanted at most %d", path,
                                  line, len, MAX_KEY);
        if (status == 0 && o->n_keys == MAX_KEYS)
            status = slm_cli_fail("%s: got more than %d keys", path, MAX_KEYS);
        if (status == 0 && !(o->keys[o->n_keys++] = strdup(text)))
            status = slm_cli_fail("%s: got no memory for the keys", path);
    }
    if (status == 0 && strlen(data) != size && o->n_keys == 0)
        status = slm_cli_fail("%s: got a byte 0, wanted text", path);
    if (status == 0 && o->n_keys == 0)
        status = slm_cli_fail("%s: got no key, wanted one a line", path);
    free(data);
    return status;
}

void serve_free_keys(serve_options *o) {
    for (size_t i = 0; i < o->n_keys; i++)
        free(o->keys[i]);
    free(o->keys);
    o->keys = NULL;
    o->n_keys = 0;
}
