#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { GRACE_MS = 200 };

static int spawn(pid_t *pid, char *const *command, int in, int out, process_errors errors) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, fresh;
    sigemptyset(&none);
    sigemptyset(&fresh);
    sigaddset(&fresh, SIGPIPE);
    sigaddset(&fresh, SIGINT);
    sigaddset(&fresh, SIGTERM);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                       POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &fresh);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (errors == ERRORS_READ)
        posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
    else
        posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(pid, command[0], &files, &how, command, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

bool process_start(process *p, char *const *command, process_errors errors, char *why,
                   size_t why_size) {
    int to[2], from[2];
    *p = (process){.io = {.in = -1, .out = -1}};
    if (!command || !command[0])
        return fail(why, why_size, "no program was named");
    if (pipe2(to, O_CLOEXEC) != 0)
        return fail(why, why_size, "%.100s: %s", command[0], strerror(errno));
    if (pipe2(from, O_CLOEXEC) != 0) {
        fail(why, why_size, "%.100s: %s", command[0], strerror(errno));
        close(to[0]);
        close(to[1]);
        return false;
    }
    int error = spawn(&p->pid, command, to[0], from[1], errors);
    close(to[0]);
    close(from[1]);
    if (error != 0) {
        close(to[1]);
        close(from[0]);
        p->pid = 0;
        return fail(why, why_size, "%.100s: %s", command[0], strerror(error));
    }
    if (!stream_open(&p->io, from[0], to[1], why, why_size)) {
        process_end(p);
        return false;
    }
    return true;
}

bool process_runs(const process *p) {
    siginfo_t info = {0};
    return p->pid > 0 && waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

bool process_ended_well(const process *p, char *why, size_t why_size) {
    siginfo_t info = {0};
    for (int64_t deadline = clock_ms() + GRACE_MS; process_runs(p) && clock_ms() < deadline;)
        poll(NULL, 0, 1);
    if (p->pid <= 0 || waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0 || (info.si_code == CLD_EXITED && info.si_status == 0))
        return true;
    return fail(why, why_size, "it ended with %s %d",
                info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
}

/* Waits until the process has closed its output, which it does at the latest when it ends. */
static void wait_for_end(int fd, int64_t deadline) {
    char rest[4096];
    while (fd >= 0 && clock_ms() < deadline) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)(deadline - clock_ms())) <= 0)
            continue;
        ssize_t got = read(fd, rest, sizeof rest);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}

void process_end(process *p) {
    if (p->pid == 0)
        return;
    kill(-p->pid, SIGTERM);
    wait_for_end(p->io.in, clock_ms() + GRACE_MS);
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    stream_close(&p->io);
    p->pid = 0;
}
