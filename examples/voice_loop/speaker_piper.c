/* Piper, one process for all texts: a line of text goes in, and when its WAV file is in a folder of
 * ours, a line with the name of that comes out, which Piper in Python logs to its standard error and
 * the one in C++ prints. The engine is as quick this way as by a pipe of samples, since Piper makes a
 * sentence at a time, and the end of a text is exact. */
#define _GNU_SOURCE
#include "engines.h"
#include "pcm_reader.h"
#include "wyoming.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 300, LONGEST_LINE = 1 << 16, WAV_HEADER = 44 };

typedef struct piper {
    speaker base;
    char **command; /* with -d and the folder at its end */
    process program;
    stream file; /* the sound, once it is there */
    bool has_file;
    pcm_reader sound;
    char folder[PATH_SIZE], path[2 * PATH_SIZE]; /* of the present text */
    char said[200];                              /* its last line that named no file */
    int timeout_ms;
    unsigned owed; /* files of texts that were given up */
    bool open;
} piper;

static void drop_file(piper *p) {
    if (p->has_file)
        stream_close(&p->file);
    p->has_file = false;
    if (p->path[0])
        unlink(p->path);
    p->path[0] = 0;
}

/* What Piper is still at, it finishes: its line is then passed over, and its file removed. */
static void stop(speaker *s) {
    piper *p = (piper *)s;
    if (p->open && !p->has_file)
        p->owed++;
    drop_file(p);
    p->open = false;
}

/* Ends it, and removes what it was writing. */
static void end_program(piper *p) {
    process_end(&p->program);
    stop(&p->base);
    p->owed = 0;
    DIR *folder = opendir(p->folder);
    for (struct dirent *e = folder ? readdir(folder) : NULL; e; e = readdir(folder))
        if (e->d_name[0] != '.')
            unlinkat(dirfd(folder), e->d_name, 0);
    if (folder)
        closedir(folder);
}

static bool failed(piper *p, const char *reason, char *why, size_t why_size) {
    end_program(p);
    return fail(why, why_size, "piper: %s%s%s", reason, p->said[0] ? "; its last words: " : "",
                p->said);
}

static bool start(piper *p, char *reason, size_t size) {
    p->said[0] = 0;
    return process_start(&p->program, p->command, ERRORS_READ, reason, size);
}

/* The bytes of the blank at the beginning of valid UTF-8, 0 where there is none. */
static size_t blank_at(const char *s) {
    static const char others[] = "\u00a0\u1680\u2028\u2029\u202f\u205f\u3000";
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] == ' ')
        return 1;
    if (u[0] == 0xc2 && u[1] == 0x85) /* U+0085 */
        return 2;
    if (u[0] == 0xe2 && u[1] == 0x80 && u[2] >= 0x80 && u[2] <= 0x8a) /* U+2000 to U+200A */
        return 3;
    for (size_t i = 0, n; others[i]; i += n) {
        n = others[i] == others[0] ? 2 : 3;
        if (strncmp(s, others + i, n) == 0)
            return n;
    }
    return 0;
}

/* Of nothing but blanks, Unicode's too, Piper in Python makes no file. */
static bool is_blank(const char *s) {
    for (size_t n; (n = blank_at(s)) > 0;)
        s += n;
    return !*s;
}

/* The text as a line; NULL where it is not UTF-8 or memory is short, "" where there is nothing to be
 * said. */
static char *line_of(const char *text, size_t n_text) {
    json_t *valid = json_stringn(text, n_text);
    char *line = valid ? malloc(n_text + 2) : NULL;
    size_t n = 0;
    for (size_t i = 0; line && i < n_text; i++) {
        char c = (unsigned char)text[i] < ' ' ? ' ' : text[i];
        if (c != ' ' || n > 0)
            line[n++] = c;
    }
    if (line) {
        line[n] = 0;
        if (is_blank(line))
            line[0] = 0;
        else
            memcpy(line + n, "\n", 2);
    }
    json_decref(valid);
    return line;
}

static bool say(speaker *s, const char *text, size_t n_text, char *why, size_t why_size) {
    piper *p = (piper *)s;
    char reason[300];
    stop(s);
    p->sound = (pcm_reader){0};
    char *line = line_of(text, n_text);
    if (!line)
        return fail(why, why_size, "piper: the text is not UTF-8");
    if (!line[0]) {
        free(line);
        return true;
    }
    bool good = process_runs(&p->program);
    if (!good) {
        end_program(p);
        good = start(p, reason, sizeof reason);
    }
    good = good && stream_write(&p->program.io, line, strlen(line), clock_ms() + p->timeout_ms,
                                reason, sizeof reason);
    free(line);
    p->open = good;
    return good || failed(p, reason, why, why_size);
}

/* The name of a WAV file in the folder at the end of a line, NULL where there is none. */
static char *path_in(const piper *p, char *line) {
    size_t n = strlen(line);
    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' '))
        line[--n] = 0;
    char *path = strstr(line, p->folder);
    return path && n > 4 && strcmp(line + n - 4, ".wav") == 0 ? path : NULL;
}

/* Piper in C++ names the file a moment before all of it is written, but not before its header. */
static bool wait_for_all(int fd, int64_t deadline) {
    unsigned char h[WAV_HEADER];
    struct stat now;
    for (;; nanosleep(&(struct timespec){0, 2000000}, NULL)) {
        if (pread(fd, h, sizeof h, 0) == WAV_HEADER && fstat(fd, &now) == 0) {
            uint32_t n = h[40] | (uint32_t)h[41] << 8 | (uint32_t)h[42] << 16 | (uint32_t)h[43] << 24;
            if (now.st_size >= WAV_HEADER + (off_t)n)
                return true;
        }
        if (clock_ms() > deadline)
            return false;
    }
}

/* Waits for the line that names the file of this text. */
static bool wait_for_file(piper *p, char *reason, size_t size) {
    int64_t deadline = clock_ms() + p->timeout_ms;
    for (char *path = NULL; !path;) {
        char *line = stream_read_line(&p->program.io, LONGEST_LINE, deadline, reason, size);
        if (!line)
            return false;
        path = path_in(p, line);
        if (!path) {
            snprintf(p->said, sizeof p->said, "%s", line);
        } else if (p->owed > 0) { /* of a text that was stopped */
            unlink(path);
            p->owed--;
            path = NULL;
        } else {
            snprintf(p->path, sizeof p->path, "%s", path);
        }
    }
    int fd = open(p->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(reason, size, "%.250s: %s", p->path, strerror(errno));
    if (!wait_for_all(fd, deadline)) {
        close(fd);
        return fail(reason, size, "%.250s: is not what its header says", p->path);
    }
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
    end_program(p);
    if (p->folder[0])
        rmdir(p->folder);
    command_free(p->command);
    free(p);
}

/* The command with two arguments more: where the files go. */
static char **with_folder(char *const *command, char *folder) {
    size_t n = 0;
    while (command[n])
        n++;
    char **longer = calloc(n + 3, sizeof *longer), **copy = NULL;
    if (longer) {
        memcpy(longer, command, n * sizeof *longer);
        longer[n] = "-d";
        longer[n + 1] = folder;
        copy = command_copy(longer);
    }
    free(longer);
    return copy;
}

/* A folder for the files, by its whole name: a program may tidy what TMPDIR makes of it, "./x" or "x//y",
 * and would then name files in which that is not to be found. */
static bool make_folder(piper *p, char *reason, size_t size) {
    const char *base = getenv("TMPDIR");
    snprintf(p->folder, sizeof p->folder, "%.200s/voice-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(p->folder)) {
        fail(reason, size, "%.200s: %s", p->folder, strerror(errno));
        p->folder[0] = 0;
        return false;
    }
    char *whole = realpath(p->folder, NULL);
    size_t n = whole ? strlen(whole) : 0;
    if (!whole)
        fail(reason, size, "%.200s: %s", p->folder, strerror(errno));
    else if (n >= sizeof p->folder)
        fail(reason, size, "%.200s...: a name of %zu bytes, wanted fewer than %d", whole, n, PATH_SIZE);
    else
        memcpy(p->folder, whole, n + 1);
    free(whole);
    return n > 0 && n < sizeof p->folder;
}

speaker *speaker_open_piper(const speaker_options *options, char *why, size_t why_size) {
    char reason[300] = "out of memory";
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
    if (make_folder(p, reason, sizeof reason)) {
        p->command = with_folder(options->command, p->folder);
        if (p->command && start(p, reason, sizeof reason))
            return &p->base;
    }
    fail(why, why_size, "piper: %s", reason);
    close_engine(&p->base);
    return NULL;
}
