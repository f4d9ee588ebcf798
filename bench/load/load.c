/* Load for a server that speaks the interface of the OpenAI API: streams of completions, many at a time,
 * from one thread.
 *
 *   slm_load 127.0.0.1:8080 --streams 1,4,16,64 --tokens 64
 *
 * For each number of streams one line of JSON: tokens a second of all together, the time to the first
 * token and between two tokens (median, 95th and 99th percentile, milliseconds), and what went wrong.
 * A stream is one request after the other, each on a connection of its own. With --check every answer is
 * compared with what the server gave before to the same prompt and seed, alone; with --drop a share of the
 * requests is left in the middle; with --idle connections are open beside them that say nothing. With
 * --distinct no two prompts begin alike, so that no server can use what it has evaluated before. With --arrive
 * one more stream asks for short answers, with pauses: what a newcomer waits for while the others are
 * being answered stands apart. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_LEVELS = 16,
    MAX_STREAMS = 1024,
    MAX_HEAD = 8192,
    MAX_LINE = 65536,
    N_PROMPTS = 8,        /* different ones, in turn */
    REFUSED_WAIT_MS = 50, /* before a stream that was refused asks again */
    SHORT_TOKENS = 8,     /* of an answer to a newcomer */
};

typedef struct options {
    struct sockaddr_in address;
    const char *host; /* as it was given */
    const char *key;
    int levels[MAX_LEVELS], n_levels;
    int n_requests; /* a stream */
    double seconds; /* 0: as many requests as that */
    int n_tokens, n_words, n_idle;
    double drop;    /* share of requests that are left in the middle */
    double arrive;  /* seconds between the short requests of one more stream; 0: there is none */
    int check, distinct;
} options;

typedef struct samples {
    double *at;
    size_t n, cap;
} samples;

/* What one stream is at. */
typedef enum phase { CLOSED, WAITING, SENDING, IN_HEAD, IN_BODY } phase;
typedef enum chunk_phase { CHUNK_SIZE, CHUNK_DATA, CHUNK_END } chunk_phase;

typedef struct stream {
    int fd;
    phase phase;
    int prompt, is_newcomer;
    char out[16384];
    size_t n_out, sent;
    char head[MAX_HEAD];
    size_t n_head;
    int chunked, failed, over;
    chunk_phase chunk;
    size_t chunk_left;
    char line[MAX_LINE];
    size_t n_line;
    uint64_t hash; /* of the text */
    long n_pieces, n_tokens, drop_at;
    double begun, last, again_at;
} stream;

typedef struct run {
    const options *o;
    int epoll, n_streams, n_active;
    stream *streams; /* [n_streams + 1] the last one is the newcomers' */
    samples first, between, arriving;
    long n_done, n_dropped, n_refused, n_failed, n_different, n_tokens, n_begun;
    uint64_t random;
    double end;
} run;

static uint64_t wanted[N_PROMPTS]; /* hashes of quiet answers; 0: not known */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what) {
    fprintf(stderr, "slm_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double uniform(run *r) { /* xorshift64 */
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (double)(r->random >> 11) * 0x1p-53;
}

/* ---- samples ---------------------------------------------------------------------------------- */

static void add_sample(samples *s, double value) {
    if (s->n == s->cap) {
        s->cap = 2 * s->cap + 1024;
        s->at = realloc(s->at, s->cap * sizeof *s->at);
        if (!s->at)
            die("memory");
    }
    s->at[s->n++] = value;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, samples *s) {
    static const double shares[] = {0.5, 0.95, 0.99};
    qsort(s->at, s->n, sizeof *s->at, compare);
    printf(",\"%s\":[", name);
    for (size_t i = 0; i < 3; i++)
        printf("%s%.2f", i ? "," : "",
               s->n ? s->at[(size_t)(shares[i] * (double)(s->n - 1) + 0.5)] * 1e3 : 0.0);
    printf("]");
}

/* ---- requests --------------------------------------------------------------------------------- */

static void write_request(const options *o, stream *s) {
    static const char *const words[] = {"light", "kitchen", "timer", "music", "window", "morning"};
    char body[8192];
    int n = snprintf(body, sizeof body, "{\"prompt\":\"%d is the number:", s->prompt);
    for (int i = 0; i < o->n_words && n < (int)sizeof body - 256; i++)
        n += snprintf(body + n, sizeof body - (size_t)n, " %s",
                      words[(s->prompt * 7 + i * i) % 6]);
    n += snprintf(body + n, sizeof body - (size_t)n,
                  "\",\"max_tokens\":%d,\"seed\":%d,\"temperature\":1,\"stream\":true,"
                  "\"stream_options\":{\"include_usage\":true}}",
                  s->is_newcomer ? SHORT_TOKENS : o->n_tokens, s->prompt);
    s->n_out = (size_t)snprintf(s->out, sizeof s->out,
                                "POST /v1/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: "
                                "application/json\r\nContent-Length: %d\r\n%s%s%sConnection: close"
                                "\r\n\r\n%s", o->host, n, o->key ? "Authorization: Bearer " : "",
                                o->key ? o->key : "", o->key ? "\r\n" : "", body);
}

static void begin(run *r, stream *s) {
    int one = 1;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = s};
    s->n_head = s->n_line = s->sent = 0;
    s->chunked = s->failed = s->over = 0;
    s->chunk = CHUNK_SIZE;
    s->chunk_left = 0;
    s->hash = 0xcbf29ce484222325u;
    s->n_pieces = s->n_tokens = 0;
    s->prompt = (int)(r->o->distinct ? r->n_begun : r->n_begun % N_PROMPTS);
    r->n_begun++;
    s->drop_at = r->o->drop > 0 && !s->is_newcomer && uniform(r) < r->o->drop
                     ? (long)(uniform(r) * r->o->n_tokens)
                     : -1;
    write_request(r->o, s);
    s->begun = now();
    s->last = 0;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        die("socket");
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->phase = SENDING;
    r->n_active++;
    if (connect(s->fd, (const struct sockaddr *)&r->o->address, sizeof r->o->address) != 0 &&
        errno != EINPROGRESS)
        s->failed = 1;
    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, s->fd, &event) != 0)
        die("epoll_ctl");
}

static void end(run *r, stream *s, long *count) {
    close(s->fd);
    s->fd = -1;
    r->n_active--;
    ++*count;
    s->phase = WAITING;
    int bad = count == &r->n_refused || count == &r->n_failed;
    s->again_at = now() + (bad ? REFUSED_WAIT_MS * 1e-3 : s->is_newcomer ? r->o->arrive : 0);
}

static void finish(run *r, stream *s) {
    if (s->failed || !s->over) {
        end(r, s, strncmp(s->head, "HTTP/1.1 503", 12) == 0 ? &r->n_refused : &r->n_failed);
        return;
    }
    r->n_tokens += s->n_tokens > 0 ? s->n_tokens : s->n_pieces;
    if (r->o->check && wanted[s->prompt] && s->hash != wanted[s->prompt])
        r->n_different++;
    if (r->o->check && !wanted[s->prompt])
        wanted[s->prompt] = s->hash;
    end(r, s, &r->n_done);
}

/* ---- replies ---------------------------------------------------------------------------------- */

/* The text of an event, as it is spelt in JSON. */
static void take_text(run *r, stream *s) {
    static const char member[] = "\"text\":\"", tokens[] = "\"completion_tokens\":";
    const char *p = strstr(s->line, member), *count = strstr(s->line, tokens);
    double t = now();
    if (count)
        s->n_tokens = strtol(count + sizeof tokens - 1, NULL, 10);
    if (!p)
        return;
    p += sizeof member - 1;
    if (*p == '"')
        return; /* the end has none */
    for (; *p && *p != '"'; p++) {
        s->hash = (s->hash ^ (unsigned char)*p) * 0x100000001b3u;
        if (*p == '\\' && p[1])
            s->hash = (s->hash ^ (unsigned char)*++p) * 0x100000001b3u;
    }
    if (!s->is_newcomer)
        add_sample(s->last > 0 ? &r->between : &r->first, t - (s->last > 0 ? s->last : s->begun));
    else if (s->last <= 0)
        add_sample(&r->arriving, t - s->begun);
    s->last = t;
    s->n_pieces++;
}

static void take_line(run *r, stream *s) {
    if (strncmp(s->line, "data: [DONE]", 12) == 0)
        s->over = 1;
    else if (strncmp(s->line, "data: {\"error\"", 14) == 0)
        s->failed = 1;
    else if (strncmp(s->line, "data: ", 6) == 0)
        take_text(r, s);
}

static void take_bytes(run *r, stream *s, const char *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n') {
            s->line[s->n_line] = '\0';
            take_line(r, s);
            s->n_line = 0;
        } else if (s->n_line < sizeof s->line - 1) {
            s->line[s->n_line++] = data[i];
        }
    }
}

static void take_chunks(run *r, stream *s, const char *data, size_t n) {
    for (size_t i = 0; i < n;) {
        if (s->chunk == CHUNK_DATA) {
            size_t m = n - i < s->chunk_left ? n - i : s->chunk_left;
            take_bytes(r, s, data + i, m);
            i += m;
            s->chunk_left -= m;
            if (s->chunk_left == 0)
                s->chunk = CHUNK_END;
            continue;
        }
        char c = data[i++];
        if (s->chunk == CHUNK_END) {
            s->chunk = c == '\n' ? CHUNK_SIZE : CHUNK_END;
        } else if (c == '\n') {
            s->chunk = s->chunk_left > 0 ? CHUNK_DATA : CHUNK_END;
        } else if (c != '\r') {
            char digit[2] = {c, '\0'};
            s->chunk_left = s->chunk_left * 16 + strtoul(digit, NULL, 16);
        }
    }
}

static void take_head(run *r, stream *s, const char *data, size_t n) {
    size_t room = sizeof s->head - 1 - s->n_head, m = n < room ? n : room, before = s->n_head;
    memcpy(s->head + s->n_head, data, m);
    s->n_head += m;
    s->head[s->n_head] = '\0';
    char *end_of_head = strstr(s->head, "\r\n\r\n");
    if (!end_of_head) {
        s->failed |= m < n;
        return;
    }
    size_t used = (size_t)(end_of_head + 4 - s->head) - before;
    s->failed |= strncmp(s->head, "HTTP/1.1 200", 12) != 0;
    s->chunked = strcasestr(s->head, "transfer-encoding: chunked") != NULL;
    s->phase = IN_BODY;
    (s->chunked ? take_chunks : take_bytes)(r, s, data + used, n - used);
}

static void receive(run *r, stream *s) {
    char data[16384];
    for (;;) {
        ssize_t n = recv(s->fd, data, sizeof data, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            s->failed |= n < 0;
            finish(r, s);
            return;
        }
        if (s->phase == IN_HEAD)
            take_head(r, s, data, (size_t)n);
        else
            (s->chunked ? take_chunks : take_bytes)(r, s, data, (size_t)n);
        if (s->drop_at >= 0 && s->n_pieces > s->drop_at) {
            end(r, s, &r->n_dropped);
            return;
        }
    }
}

static void transmit(run *r, stream *s) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    ssize_t n = send(s->fd, s->out + s->sent, s->n_out - s->sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0) {
        s->failed = 1;
        finish(r, s);
        return;
    }
    s->sent += (size_t)n;
    if (s->sent < s->n_out)
        return;
    s->phase = IN_HEAD;
    epoll_ctl(r->epoll, EPOLL_CTL_MOD, s->fd, &event);
}

/* ---- runs ------------------------------------------------------------------------------------- */

static int is_over(const run *r, double t) {
    return r->end > 0 ? t >= r->end : r->n_begun >= (long)r->n_streams * r->o->n_requests;
}

static void begin_all(run *r, double t) {
    int n = r->n_streams + (r->o->arrive > 0);
    for (int i = 0; i < n && !is_over(r, t); i++)
        if (r->streams[i].phase == CLOSED ||
            (r->streams[i].phase == WAITING && t >= r->streams[i].again_at))
            begin(r, &r->streams[i]);
}

static void run_level(const options *o, int n_streams, double seconds, int quiet) {
    static uint64_t seed = 0x9e3779b97f4a7c15u;
    run r = {.o = o, .n_streams = n_streams, .random = seed++};
    struct epoll_event events[64];
    double begun = now();
    r.end = seconds > 0 ? begun + seconds : 0;
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    r.streams = calloc((size_t)n_streams + 1, sizeof *r.streams);
    if (r.epoll < 0 || !r.streams)
        die("epoll or memory");
    r.streams[n_streams].is_newcomer = 1;
    r.streams[n_streams].phase = WAITING;
    r.streams[n_streams].again_at = begun + o->arrive;
    while (!is_over(&r, now()) || r.n_active > 0) {
        begin_all(&r, now());
        int n = epoll_wait(r.epoll, events, 64, REFUSED_WAIT_MS);
        for (int i = 0; i < n; i++) {
            stream *s = events[i].data.ptr;
            if (s->phase == SENDING)
                transmit(&r, s);
            else if (s->phase == IN_HEAD || s->phase == IN_BODY)
                receive(&r, s);
        }
    }
    double took = now() - begun;
    if (!quiet) {
        printf("{\"streams\":%d,\"seconds\":%.2f,\"requests\":%ld,\"tokens\":%ld,"
               "\"tokens_per_second\":%.1f", n_streams, took, r.n_done, r.n_tokens,
               (double)r.n_tokens / took);
        print_samples("first_token_ms", &r.first);
        print_samples("between_tokens_ms", &r.between);
        if (o->arrive > 0)
            print_samples("arriving_first_token_ms", &r.arriving);
        printf(",\"dropped\":%ld,\"refused\":%ld,\"failed\":%ld,\"different\":%ld}\n", r.n_dropped,
               r.n_refused, r.n_failed, r.n_different);
        fflush(stdout);
    }
    free(r.first.at);
    free(r.between.at);
    free(r.arriving.at);
    free(r.streams);
    close(r.epoll);
}

/* Connections that say nothing, until the program ends. */
static void open_idle(const options *o) {
    for (int i = 0; i < o->n_idle; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 ||
            connect(fd, (const struct sockaddr *)&o->address, sizeof o->address) != 0)
            die("idle connection");
    }
}

/* ---- the command line ------------------------------------------------------------------------- */

static int usage(options *o) {
    free((char *)o->host);
    fprintf(stderr,
            "usage: slm_load ADDRESS:PORT [options]\n"
            "  --streams N,N,...  at a time (1,4,16,64)\n"
            "  --requests N       of each stream (8)\n"
            "  --seconds S        in place of a number of requests\n"
            "  --tokens N         of an answer, at most (64)\n"
            "  --words N          of a prompt (32)\n"
            "  --idle N           connections that say nothing, beside them (0)\n"
            "  --drop X           share of requests that are left in the middle (0)\n"
            "  --check            answers have to be what they are alone\n"
            "  --distinct         no two prompts are alike; not with --check\n"
            "  --arrive S         with --seconds: one more stream of short answers, S seconds apart\n"
            "  --key KEY          of the server\n");
    return 2;
}

static int read_address(options *o, char *text) {
    char *colon = strrchr(text, ':'), *stop;
    o->host = strdup(text);
    if (!colon || !o->host)
        return 0;
    *colon = '\0';
    unsigned long port = strtoul(colon + 1, &stop, 10);
    o->address.sin_family = AF_INET;
    o->address.sin_port = htons((uint16_t)port);
    return *stop == '\0' && port > 0 && port < 65536 &&
           inet_pton(AF_INET, text, &o->address.sin_addr) == 1;
}

static int read_levels(options *o, char *text) {
    o->n_levels = 0;
    for (char *p = strtok(text, ","); p && o->n_levels < MAX_LEVELS; p = strtok(NULL, ",")) {
        int n = atoi(p);
        if (n < 1 || n > MAX_STREAMS)
            return 0;
        o->levels[o->n_levels++] = n;
    }
    return o->n_levels > 0;
}

static int read_int(const char *text, int most, int *out) {
    char *stop;
    long n = strtol(text, &stop, 10);
    *out = (int)n;
    return *text && *stop == '\0' && n >= 0 && n <= most;
}

static int read_real(const char *text, double most, double *out) {
    char *stop;
    *out = strtod(text, &stop);
    return *text && *stop == '\0' && *out >= 0 && *out <= most;
}

static int read_option(options *o, const char *name, char *value) {
    if (strcmp(name, "--streams") == 0)
        return read_levels(o, value);
    if (strcmp(name, "--requests") == 0)
        return read_int(value, 1 << 20, &o->n_requests);
    if (strcmp(name, "--seconds") == 0)
        return read_real(value, 1e6, &o->seconds);
    if (strcmp(name, "--tokens") == 0)
        return read_int(value, 1 << 20, &o->n_tokens);
    if (strcmp(name, "--words") == 0)
        return read_int(value, 900, &o->n_words);
    if (strcmp(name, "--idle") == 0)
        return read_int(value, 10000, &o->n_idle);
    if (strcmp(name, "--drop") == 0)
        return read_real(value, 1, &o->drop);
    if (strcmp(name, "--arrive") == 0)
        return read_real(value, 1e6, &o->arrive);
    if (strcmp(name, "--key") == 0)
        o->key = strlen(value) < 512 ? value : NULL;
    return o->key != NULL;
}

int main(int argc, char **argv) {
    options o = {.levels = {1, 4, 16, 64}, .n_levels = 4, .n_requests = 8, .n_tokens = 64,
                 .n_words = 32};
    if (argc < 2 || !read_address(&o, argv[1]))
        return usage(&o);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--check") == 0)
            o.check = 1;
        else if (strcmp(argv[i], "--distinct") == 0)
            o.distinct = 1;
        else if (i + 1 == argc || !read_option(&o, argv[i], argv[i + 1]))
            return usage(&o);
        else
            i++;
    }
    if ((o.check && o.distinct) || (o.arrive > 0 && o.seconds <= 0))
        return usage(&o);
    open_idle(&o);
    if (o.check) { /* alone, without leaving */
        options alone = o;
        alone.n_requests = N_PROMPTS;
        alone.drop = 0;
        run_level(&alone, 1, 0, 1);
        for (int i = 0; i < N_PROMPTS; i++)
            if (!wanted[i]) {
                fprintf(stderr, "slm_load: prompt %d got no answer, wanted one to compare with\n",
                        i);
                return 1;
            }
    }
    for (int i = 0; i < o.n_levels; i++)
        run_level(&o, o.levels[i], o.seconds, 0);
    free((char *)o.host);
    return 0;
}
