/* Piper, one process for all texts: a line of JSON with the text and the name of a WAV file goes
 * in, and the name comes out when the file is there. The engine is as quick this way as by a pipe
 * of samples, since Piper makes a sentence at a time, and the end of a text is exact. */
#define _GNU_SOURCE
#include "engines.h"
#include "pcm_reader.h"
#include "wyoming.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 300 };

typedef struct piper {
    speaker base;
    char **command; /* with --json-input at its end */
    process program;
    stream file; /* the sound, once it is there */
    bool has_file;
    pcm_reader sound;
    char folder[PATH_SIZE], path[PATH_SIZE + 32]; /* of the present text */
    int timeout_ms;
    unsigned count; /* of texts */
    bool open;
} piper;

static void drop_file(piper *p) {
    if (p->has_file)
        stream_close(&p->file);
    p->has_file = false;
    if (p->path[0])
        unlink(p->path);
}

/* What Piper is still at, it finishes: its line is then passed over, and its file removed. */
static void stop(speaker *s) {
    piper *p = (piper *)s;
    drop_file(p);
    p->open = false;
}

static bool failed(piper *p, const char *reason, char *why, size_t why_size) {
    process_end(&p->program);
    stop(&p->base);
    return fail(why, why_size, "piper: %s", reason);
}

static bool say(speaker *s, const char *text, size_t n_text, char *why, size_t why_size) {
    piper *p = (piper *)s;
    char reason[300];
    stop(s);
    if (!process_runs(&p->program)) {
        process_end(&p->program);
        if (!process_start(&p->program, p->command, reason, sizeof reason))
            return failed(p, reason, why, why_size);
    }
    snprintf(p->path, sizeof p->path, "%s/%u.wav", p->folder, ++p->count);
    json_t *line = json_pack("{s:s%, s:s}", "text", text, n_text, "output_file", p->path);
    char *bytes = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (!bytes)
        return fail(why, why_size, "piper: the text is not UTF-8");
    size_t n = strlen(bytes);
    bytes[n] = '\n'; /* in place of the NUL */
    p->open = stream_write(&p->program.io, bytes, n + 1, clock_ms() + p->timeout_ms, reason,
                           sizeof reason);
    free(bytes);
    p->sound = (pcm_reader){0};
    return p->open || failed(p, reason, why, why_size);
}

/* Waits for the line that names the file of this text. */
static bool wait_for_file(piper *p, char *reason, size_t size) {
    int64_t deadline = clock_ms() + p->timeout_ms;
    for (;;) {
        char *line = stream_read_line(&p->program.io, PATH_SIZE + 64, deadline, reason, size);
        if (!line)
            return false;
        line[strcspn(line, "\r")] = 0;
        if (strcmp(line, p->path) == 0)
            break;
        if (strncmp(line, p->folder, strlen(p->folder)) != 0)
            return fail(reason, size, "got \"%.60s\", wanted the name of the WAV file", line);
        unlink(line); /* of a text that was stopped */
    }
    int fd = open(p->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(reason, size, "%.250s: %s", p->path, strerror(errno));
    p->has_file = stream_open(&p->file, fd, fd, reason, size);
    return p->has_file;
}

static long read_samples(speaker *s, int16_t *samples, size_t n, char *why, size_t why_size) {
    piper *p = (piper *)s;
    char reason[400];
    if (!p->open)
        return 0;
    long got = -1;
    if (p->has_file || wait_for_file(p, reason, sizeof reason))
        got = pcm_read(&p->sound, &p->file, samples, n, clock_ms() + p->timeout_ms, reason,
                       sizeof reason);
    if (got < 0) {
        failed(p, reason, why, why_size);
        return -1;
    }
    if (got == 0)
        stop(s);
    s->rate = p->sound.rate ? p->sound.rate : s->rate;
    return got;
}

static void close_engine(speaker *s) {
    piper *p = (piper *)s;
    process_end(&p->program);
    drop_file(p);
    if (p->folder[0])
        rmdir(p->folder);
    command_free(p->command);
    free(p);
}

/* The command with one argument more. */
static char **with_json_input(char *const *command) {
    size_t n = 0;
    while (command[n])
        n++;
    char **longer = calloc(n + 2, sizeof *longer), **copy = NULL;
    if (longer) {
        memcpy(longer, command, n * sizeof *longer);
        longer[n] = "--json-input";
        copy = command_copy(longer);
    }
    free(longer);
    return copy;
}

speaker *speaker_open_piper(const speaker_options *options, char *why, size_t why_size) {
    char reason[300] = "out of memory";
    const char *base = getenv("TMPDIR");
    if (!options->command || !options->command[0]) {
        fail(why, why_size, "piper: no command, wanted one such as: piper --model FILE.onnx");
        return NULL;
    }
    piper *p = calloc(1, sizeof *p);
    if (!p) {
        fail(why, why_size, "piper: out of memory");
        return NULL;
    }
    p->base = (speaker){
        .name = "piper",
        .rate = 22050,
        .charge_ms = 100,
        .charge_ms_per_100 = 250,
        .say = say,
        .read = read_samples,
        .stop = stop,
        .close = close_engine,
    };
    p->timeout_ms = options->timeout_ms;
    p->command = with_json_input(options->command);
    snprintf(p->folder, sizeof p->folder, "%.200s/voice-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(p->folder)) {
        snprintf(reason, sizeof reason, "%.200s: %s", p->folder, strerror(errno));
        p->folder[0] = 0;
    } else if (p->command && process_start(&p->program, p->command, reason, sizeof reason)) {
        return &p->base;
    }
    fail(why, why_size, "piper: %s", reason);
    close_engine(&p->base);
    return NULL;
}
