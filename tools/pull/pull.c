#define _POSIX_C_SOURCE 200809L

#include "pull.h"

#include "../cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

const pull_options pull_defaults = {.stall_seconds = 30, .n_retries = 4};

enum { PROGRESS = 1 << 20, MAX_WAIT = 30 }; /* bytes after which retries count anew; seconds */

int pull_check_space(const char *path, uint64_t n) {
    char folder[PULL_MAX_PATH];
    struct statvfs s;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    /* Where it cannot be told, writing will. */
    if (statvfs(slash ? folder : ".", &s) != 0)
        return 0;
    uint64_t block = s.f_frsize ? s.f_frsize : s.f_bsize, available = s.f_bavail;
    if (available >= n / block + (n % block > 0))
        return 0;
    return slm_cli_fail("%s: got room for %llu bytes, wanted %llu", path,
                        (unsigned long long)(available * block), (unsigned long long)n);
}

/* What to do with the file where no digest tells whether it is the one: it is never replaced. */
static int judge_unchecked(const pull_entry *entry, const char *path, int fd) {
    if (!pull_is_gguf(fd))
        return slm_cli_fail("%s: is there and is not a model, wanted GGUF, or another NAME", path);
    if (!pull_came_from(path, entry->address))
        return slm_cli_fail("%s: is there and is not known to come from this address, wanted "
                            "--sha256, or another NAME", path);
    slm_cli_note("%s: is there; it was not checked, since there is no SHA-256", path);
    return 0;
}

/* Whether the file is there and is the one. 1, 0, or -1 with the exit status in *status. */
static int is_there(const pull_entry *entry, const char *path, int *status) {
    struct stat s;
    char digest[PULL_SHA256_DIGITS + 1];
    pull_sha256 hash;
    uint64_t size;
    int is_same = 1;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would hold it up */
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &s) != 0)
        *status = slm_cli_fail("%s: cannot be read: %s", path, strerror(errno));
    else if (!S_ISREG(s.st_mode))
        *status = slm_cli_fail("%s: is there and is not a file, wanted one, or nothing", path);
    else if (entry->sha256[0] == '\0')
        *status = judge_unchecked(entry, path, fd);
    else if (entry->size > 0 && (uint64_t)s.st_size != entry->size)
        is_same = 0;
    else if ((*status = pull_hash_file(fd, path, &hash, &size)) == 0) {
        pull_sha256_end(&hash, digest);
        is_same = strcmp(digest, entry->sha256) == 0;
    }
    if (fd >= 0)
        close(fd);
    return *status == 0 ? is_same : -1;
}

#ifdef SLM_HAVE_CURL

static int wait_for(uint64_t seconds) {
    struct timespec left = {.tv_sec = (time_t)seconds};
    while (!slm_cli_interrupted() && nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    return slm_cli_interrupted() ? SLM_EXIT_INTERRUPTED : 0;
}

/* Bytes of a version that nothing identifies may not be put together: they go. */
static int drop_unidentified(const pull_entry *entry, pull_part *part) {
    return part->etag[0] || entry->sha256[0] ? 0 : pull_part_restart(part, entry->address, "");
}

/* Fetches what is missing, in as many attempts as bring something and some more. */
static int fetch_all(pull_fetch *f) {
    uint32_t n_vain = 0;
    uint64_t most = f->part->size; /* when the count of attempts in vain began */
    for (;;) {
        slm_cli_bar_begin(f->entry->name);
        pull_outcome outcome = pull_fetch_rest(f);
        slm_cli_bar_end();
        if (outcome == PULL_WHOLE)
            return 0;
        if (outcome == PULL_PRINTED)
            return f->status;
        if (f->part->size >= most + PROGRESS) {
            most = f->part->size;
            n_vain = 0;
        }
        if (outcome == PULL_FAILED || n_vain >= f->options->n_retries)
            return slm_cli_fail("%s: %s", f->entry->name, f->why);
        uint64_t wait = n_vain < 5 ? UINT64_C(1) << n_vain : MAX_WAIT;
        if (wait < f->wait)
            wait = f->wait;
        n_vain++;
        slm_cli_note("%s: %s; again in %llu s", f->entry->name, f->why, (unsigned long long)wait);
        int status = wait_for(wait);
        if (status == 0)
            status = drop_unidentified(f->entry, f->part);
        if (status != 0)
            return status;
    }
}

/* Takes what was fetched where no digest tells whether it is right. */
static int commit_unchecked(const pull_entry *entry, pull_part *part, const char *digest) {
    if (!pull_is_gguf(part->fd)) {
        pull_part_abandon(part);
        return slm_cli_fail("%s: got a file that is not a model, wanted GGUF", entry->name);
    }
    slm_cli_warn("%s: got no SHA-256 to check it by; it is %s", entry->name, digest);
    return pull_part_commit(part, 1);
}

/* Fetches into the part, which is closed or committed at the end. */
static int fetch(const pull_entry *entry, const pull_options *options, pull_part *part) {
    pull_fetch f = {.options = options, .entry = entry, .part = part};
    char digest[PULL_SHA256_DIGITS + 1];
    int status = drop_unidentified(entry, part);
    if (status == 0 && entry->size > 0 && part->size > entry->size)
        status = pull_part_restart(part, entry->address, "");
    for (int again = 1; status == 0; again = 0) {
        int resumed = part->size > 0;
        if (resumed)
            slm_cli_note("%s: going on after %llu bytes", entry->name,
                         (unsigned long long)part->size);
        if (entry->size > part->size)
            status = pull_check_space(part->path, entry->size - part->size);
        if (status == 0 && (entry->size == 0 || part->size < entry->size))
            status = fetch_all(&f);
        if (status != 0)
            break;
        pull_sha256_end(&part->hash, digest);
        if (entry->sha256[0] == '\0')
            return commit_unchecked(entry, part, digest);
        if (strcmp(digest, entry->sha256) == 0)
            return pull_part_commit(part, 0);
        if (!resumed || !again) {
            pull_part_abandon(part);
            return slm_cli_fail("%s: got a file with SHA-256 %s, wanted %s", entry->name, digest,
                                entry->sha256);
        }
        slm_cli_note("%s: what had been fetched before was not right; from the beginning",
                     entry->name);
        status = pull_part_restart(part, entry->address, "");
    }
    pull_part_close(part);
    return status;
}

static int fetch_model(const pull_entry *entry, const pull_options *options, const char *path) {
    static pull_part part; /* three paths: too large for the stack of a function */
    int status = 0;
    if (pull_make_folders(path) != 0)
        return slm_cli_fail("%s: cannot be written: %s", path, strerror(errno));
    status = pull_part_open(&part, path, entry->address);
    if (status != 0)
        return status;
    /* Whoever had the part before may have ended with the whole file. */
    if (is_there(entry, path, &status) != 0) {
        pull_part_close(&part);
        return status;
    }
    return fetch(entry, options, &part);
}

#else

static int fetch_model(const pull_entry *entry, const pull_options *options, const char *path) {
    (void)options;
    (void)path;
    return slm_cli_fail("%s: this build cannot fetch models, wanted one with libcurl", entry->name);
}

#endif

int pull_model(const pull_entry *entry, const pull_options *options, char path[PULL_MAX_PATH]) {
    int status = 0;
    if (!pull_model_path(entry->name, path) && errno == ENAMETOOLONG)
        return slm_cli_fail("%s: got a folder for models whose path is too long, wanted less than "
                            "%u bytes with the name", entry->name, PULL_MAX_PATH);
    if (!pull_model_path(entry->name, path))
        return slm_cli_fail("%s: got no folder for models, wanted SLM_MODELS or HOME to name one",
                            entry->name);
    slm_cli_on_interrupt_note();
    if (is_there(entry, path, &status) == 0) {
        if (access(path, F_OK) == 0)
            slm_cli_note("%s: is not the file that was wanted; it will be replaced", path);
        status = fetch_model(entry, options, path);
    }
    slm_cli_on_interrupt_exit();
    return status;
}
