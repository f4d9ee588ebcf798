/* Saving when the power fails, the program is killed, the disk is full, or others save too: what is
 * at the name is always the old file or the new one, whole. */
#include "api/snapshot_file.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static slm_model *model;
static slm_session *sessions[2]; /* of the old file and of the new one */
static uint8_t *files[2];
static size_t sizes[2];
static char path[700];
static uint8_t attached[2][100000];

static const slm_snapshot_options options[2] = {
    {.struct_size = sizeof options[0], .attachment = attached[0], .attachment_len = 90000},
    {.struct_size = sizeof options[1], .attachment = attached[1], .attachment_len = 100000},
};

static uint64_t random_state = 88172645463325252u;
static uint64_t random_below(uint64_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static int set_up(void **state) {
    (void)state;
    int32_t ids[60];
    snprintf(path, sizeof path, "%s", temp_path("session"));
    model = tiny_open(NULL, NULL);
    for (int i = 0; i < 2; i++) {
        for (size_t j = 0; j < sizeof attached[i]; j++)
            attached[i][j] = (uint8_t)random_below(256);
        fill_ids(ids, 60, (uint32_t)i + 1);
        sessions[i] = open_tiny(model, SLM_KV_F32, TINY_CTX);
        OK(slm_session_eval(sessions[i], ids, i == 0 ? 60 : 45, SLM_LOGITS_NONE, &golden_err));
        OK(slm_session_save(sessions[i], path, &options[i], &golden_err));
        files[i] = temp_read(path, &sizes[i]);
    }
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        slm_session_close(&sessions[i]);
        free(files[i]);
    }
    slm_model_close(&model);
    return 0;
}

/* Which of the two files these bytes are; -1: neither. */
static int which(const uint8_t *bytes, size_t size) {
    for (int i = 0; i < 2; i++)
        if (size == sizes[i] && memcmp(bytes, files[i], size) == 0)
            return i;
    return -1;
}

static int which_is_there(void) {
    size_t size;
    uint8_t *bytes = temp_read(path, &size);
    int is = which(bytes, size);
    free(bytes);
    return is;
}

static void put_old(void) {
    temp_clear();
    temp_write(path, files[0], sizes[0]);
}

/* ---------------------------------------------------------------- calls ---------------------- */

enum { CREATE, OPEN_FOLDER, WRITE, SYNC, RENAME, REMOVE, CLOSE, N_KINDS };
typedef struct call {
    int kind;
    int is_folder;       /* of a SYNC */
    size_t offset, size; /* of a WRITE */
} call;

/* What is done to the calls that pass, and what they were. */
static struct {
    call calls[64];
    size_t n;
    int folder; /* its descriptor */
    size_t written;
    size_t fail_at; /* this call of those with a kind below fails... */
    int fail_with, fail_for_good;
    size_t most; /* bytes that a write takes; 0: all */
} disk;

static int fails(int kind, int is_folder, size_t size) {
    if (disk.n < sizeof disk.calls / sizeof disk.calls[0])
        disk.calls[disk.n] = (call){kind, is_folder, disk.written, size};
    size_t i = disk.n++;
    if (disk.fail_with == 0 || !(i == disk.fail_at || (disk.fail_for_good && i > disk.fail_at)) ||
        kind == REMOVE)
        return 0;
    errno = disk.fail_with;
    return 1;
}

static int do_create(const char *name) {
    return fails(CREATE, 0, 0) ? -1 : open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}
static int do_open_folder(const char *name) {
    return fails(OPEN_FOLDER, 0, 0) ? -1 : (disk.folder = open(name, O_RDONLY | O_DIRECTORY));
}
static ssize_t do_write(int fd, const void *data, size_t size) {
    if (disk.most != 0 && size > disk.most)
        size = 1 + random_below(disk.most);
    if (fails(WRITE, 0, size))
        return -1;
    disk.written += size;
    return write(fd, data, size);
}
static int do_sync(int fd) {
    return fails(SYNC, fd == disk.folder, 0) ? -1 : 0;
}
static int do_rename(const char *from, const char *to) {
    return fails(RENAME, 0, 0) ? -1 : rename(from, to);
}
static int do_remove(const char *name) {
    return fails(REMOVE, 0, 0) ? -1 : unlink(name);
}
static int do_close(int fd) {
    if (fd == disk.folder)
        disk.folder = -1;
    int failed = fails(CLOSE, 0, 0);
    return close(fd) != 0 || failed ? -1 : 0;
}
static const slm_out_calls calls = {do_create, do_open_folder, do_write, do_sync,
                                    do_rename, do_remove,      do_close};

/* Saves the new session; the calls are counted from 0. */
static slm_status save(slm_error *error) {
    slm_out *out;
    disk.n = disk.written = 0;
    disk.folder = -1;
    slm_host *host = sessions[1]->cache->host;
    SLM_TRY(slm_out_open_by(host, path, &calls, &out, error));
    slm_status status = slm_snapshot_write(sessions[1], out, &options[1], error);
    if (status == SLM_OK)
        return slm_out_commit(&out, error);
    slm_out_abandon(&out);
    return status;
}

static void disk_is_fine(void) {
    disk.fail_with = disk.fail_for_good = 0;
    disk.most = 0;
}

/* Each call fails in turn: full, over quota, broken, read-only; once, or from there on. */
static void every_call_fails(void **state) {
    (void)state;
    static const int numbers[] = {ENOSPC, EDQUOT, EIO, EROFS};
    call log[64];
    disk_is_fine();
    put_old();
    OK(save(&golden_err));
    size_t n_calls = disk.n, n_failed = 0;
    assert_true(n_calls <= 64);
    memcpy(log, disk.calls, sizeof log);
    for (int k = 0; k < 8; k++)
        for (size_t i = 0; i < n_calls; i++) {
            call c = log[i];
            put_old();
            disk.fail_with = numbers[k % 4];
            disk.fail_for_good = k >= 4;
            disk.fail_at = i;
            if (c.kind == CLOSE && !disk.fail_for_good) { /* after the disk has all of it */
                OK(save(&golden_err));
                assert_int_equal(which_is_there(), 1);
                continue;
            }
            golden_err = (slm_error)SLM_ERROR_INIT;
            slm_status status = save(&golden_err);
            if (status == SLM_OK && c.kind == CLOSE && i + 1 == n_calls)
                continue;
            assert_int_equal(status, SLM_ERR_IO);
            assert_null(message_flaw(&golden_err));
            int is_after = (c.kind == SYNC && c.is_folder) || c.kind == CLOSE;
            assert_int_equal(which_is_there(), is_after);
            assert_int_equal(temp_count(), 1);
            n_failed++;
        }
    assert_true(n_failed >= 8 * 6);
    disk_is_fine();
    /* nothing there before: nothing there afterwards */
    temp_clear();
    disk.fail_with = ENOSPC;
    disk.fail_at = 2;
    assert_int_equal(save(&golden_err), SLM_ERR_IO);
    assert_int_equal(temp_count(), 0);
    disk_is_fine();
}

static void interrupted_and_short(void **state) {
    (void)state;
    disk_is_fine();
    put_old();
    OK(save(&golden_err));
    size_t n_calls = disk.n;
    for (size_t i = 0; i < n_calls; i++) {
        put_old();
        disk.fail_with = EINTR;
        disk.fail_at = i;
        OK(save(&golden_err));
        assert_int_equal(which_is_there(), 1);
        assert_int_equal(temp_count(), 1);
    }
    disk_is_fine();
    for (disk.most = 1000; disk.most < 100000; disk.most *= 7) {
        put_old();
        OK(save(&golden_err));
        assert_true(disk.n > n_calls);
        assert_int_equal(which_is_there(), 1);
    }
    disk_is_fine();
}

/* ---------------------------------------------------------------- power ---------------------- */

#define SECTOR 512u

/* What a disk may hold after the power failed when the first n calls were over and perhaps a part
 * of the next: of what was written since the last sync, any sectors in any order and a size that
 * need not be that of what is there; of names that were changed since the last sync of the folder,
 * any. Returns the bytes at the name, NULL for the old file. */
static uint8_t *after_power_cut(const call *log, size_t n, uint8_t *buffer, size_t *size) {
    size_t written = 0, safe = 0;
    int was_renamed = 0, is_renamed = 0;
    for (size_t i = 0; i < n; i++) {
        if (log[i].kind == WRITE)
            written = log[i].offset + log[i].size;
        else if (log[i].kind == SYNC && !log[i].is_folder)
            safe = written;
        else if (log[i].kind == RENAME)
            was_renamed = 1;
        else if (log[i].kind == SYNC && was_renamed)
            is_renamed = 1;
    }
    if (!is_renamed && !(was_renamed && random_below(2)))
        return NULL;
    int lost_in = (int)random_below(4); /* of four sectors; or none of them */
    *size = safe + (written > safe ? random_below(written - safe + 1) : 0);
    if (random_below(2))
        *size = written;
    memcpy(buffer, files[1], *size);
    for (size_t at = safe / SECTOR * SECTOR; at < *size; at += SECTOR) {
        size_t from = at < safe ? safe : at, end = at + SECTOR < *size ? at + SECTOR : *size;
        if (lost_in == 0 || random_below(4) >= (uint64_t)lost_in)
            continue;
        if (random_below(2))
            memset(buffer + from, 0, end - from);
        else /* what was there before */
            memcpy(buffer + from, files[0] + from % 1000, end - from);
    }
    return buffer;
}

typedef struct tally {
    size_t n_old, n_new, n_mixed, n_refused;
} tally;

static tally cut_power(const call *log, size_t n_calls, size_t times) {
    tally t = {0};
    uint8_t *buffer = malloc(sizes[0] + sizes[1]);
    assert_non_null(buffer);
    slm_session *s = open_tiny(model, SLM_KV_F32, TINY_CTX);
    OK(slm_session_eval(s, live_ids, N_LIVE, SLM_LOGITS_NONE, &golden_err));
    for (size_t i = 0; i < times; i++) {
        size_t size = 0;
        const uint8_t *bytes = after_power_cut(log, random_below(n_calls + 1), buffer, &size);
        int is = bytes == NULL ? 0 : which(bytes, size);
        t.n_old += is == 0;
        t.n_new += is == 1;
        t.n_mixed += is < 0;
        if (is < 0 && t.n_refused < 500) {
            slm_status status = load_bytes(s, bytes, size, &golden_err);
            if (status != SLM_ERR_FORMAT && status != SLM_ERR_TRUNC)
                fail_msg("a torn file: got %s (%s)", slm_status_name(status), golden_err.message);
            assert_int_equal(s->n_valid, N_LIVE);
            t.n_refused++;
        }
    }
    slm_session_close(&s);
    free(buffer);
    return t;
}

static size_t without(const call *log, size_t n, int is_folder, call *out) {
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++)
        if (log[i].kind != SYNC || log[i].is_folder != is_folder)
            out[n_out++] = log[i];
    return n_out;
}

static void power_cuts(void **state) {
    (void)state;
    call log[64], less[64] = {{0}};
    disk_is_fine();
    put_old();
    OK(save(&golden_err));
    size_t n = disk.n;
    assert_true(n >= 8 && n <= 64);
    memcpy(log, disk.calls, sizeof log);
    tally t = cut_power(log, n, 10000);
    assert_int_equal(t.n_mixed, 0);
    assert_int_equal(t.n_old + t.n_new, 10000);
    assert_true(t.n_old > 1000 && t.n_new > 1000);
    /* a save that is over is there, whatever happens */
    for (int i = 0; i < 1000; i++) {
        size_t size = 0;
        uint8_t *buffer = malloc(sizes[0] + sizes[1]);
        assert_non_null(buffer);
        const uint8_t *bytes = after_power_cut(log, n, buffer, &size);
        assert_non_null(bytes);
        assert_int_equal(which(bytes, size), 1);
        free(buffer);
    }
    /* The same disk finds out a writer that does not sync its file, and one that forgets the
     * folder. */
    size_t n_less = without(log, n, 0, less);
    assert_int_equal(n_less, n - 1);
    t = cut_power(less, n_less, 10000);
    assert_true(t.n_mixed > 500 && t.n_refused == 500);
    n_less = without(log, n, 1, less);
    assert_int_equal(n_less, n - 1);
    size_t n_lost = 0, size;
    uint8_t *buffer = malloc(sizes[0] + sizes[1]);
    assert_non_null(buffer);
    for (int i = 0; i < 1000; i++)
        n_lost += after_power_cut(less, n_less, buffer, &size) == NULL;
    assert_true(n_lost > 100);
    free(buffer);
}

/* ---------------------------------------------------------------- processes ------------------ */

static pid_t start(int which_one, int times) {
    pid_t child = fork();
    assert_true(child >= 0);
    for (; child == 0 && times != 0; times--)
        if (slm_session_save(sessions[which_one], path, &options[which_one], NULL) != SLM_OK)
            _exit(1);
    if (child == 0)
        _exit(0);
    return child;
}

static void pause_us(long us) {
    struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}

/* Killed at any time. What it left behind goes with the next save. */
static void killed(void **state) {
    (void)state;
    size_t n_left = 0;
    put_old();
    for (int i = 0; i < 40 || (n_left == 0 && i < 1000); i++) {
        pid_t child = start(1, -1);
        pause_us((long)random_below(8000 + (unsigned)i * 100));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_true(which_is_there() >= 0);
        n_left += temp_count() - 1;
        OK(slm_session_save(sessions[0], path, &options[0], &golden_err));
        assert_int_equal(which_is_there(), 0);
        assert_int_equal(temp_count(), 1);
    }
    assert_true(n_left > 0);
}

/* What a writer left behind goes when its target is saved, by whomever; that of another target and
 * that of a writer at work stay. */
static void left_behind(void **state) {
    (void)state;
    char other[700];
    slm_host *host = sessions[0]->cache->host;
    slm_out *at_work = NULL;
    put_old();
    snprintf(other, sizeof other, "%s", temp_path("other"));
    OK(slm_out_open(host, path, &at_work, &golden_err));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* ends without a word to its files */
        slm_out *out = NULL;
        _exit(slm_out_open(host, path, &out, NULL) != SLM_OK ||
              slm_out_write(out, attached[0], 80000, NULL) != SLM_OK);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    assert_int_equal(temp_count(), 3);
    OK(slm_session_save(sessions[0], other, NULL, &golden_err));
    assert_int_equal(temp_count(), 4);
    OK(slm_session_save(sessions[0], path, &options[0], &golden_err));
    assert_int_equal(temp_count(), 3);
    assert_int_equal(access(slm_out_temporary(at_work), F_OK), 0);
    OK(slm_out_write(at_work, files[1], sizes[1], &golden_err));
    OK(slm_out_commit(&at_work, &golden_err));
    assert_int_equal(which_is_there(), 1);
    assert_int_equal(temp_count(), 2);
    assert_int_equal(unlink(other), 0);
}

static void two_processes(void **state) {
    (void)state;
    put_old();
    slm_session *s = open_tiny(model, SLM_KV_F32, TINY_CTX);
    pid_t children[2] = {start(0, 60), start(1, 60)};
    size_t seen[2] = {0, 0};
    for (int n_running = 2; n_running > 0;) {
        int how;
        OK(slm_session_load(s, path, NULL, NULL, &golden_err));
        size_t n = held(s);
        assert_true(n == 60 || n == 45);
        seen[n == 45]++;
        pid_t child = waitpid(-1, &how, WNOHANG);
        if (child == 0)
            continue;
        assert_true(child == children[0] || child == children[1]);
        assert_int_equal(how, 0);
        n_running--;
    }
    assert_true(seen[0] + seen[1] > 2);
    assert_true(which_is_there() >= 0);
    assert_int_equal(temp_count(), 1);
    slm_session_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails), cmocka_unit_test(interrupted_and_short),
        cmocka_unit_test(power_cuts),       cmocka_unit_test(killed),
        cmocka_unit_test(left_behind),      cmocka_unit_test(two_processes),
    };
    return cmocka_run_group_tests_name("snapshot_crash", tests, set_up, clean_up);
}
