/* Signals and the progress bar: what concerns the terminal and the process. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double slm_cli_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void slm_cli_occupy_streams(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* ---------------------------------------------------------------- signals -------------------- */

enum { ON_EXIT = 0, ON_CANCEL = 1, ON_NOTE = 2 };

/* Everything a handler reads is written with atomics or before the handler can run. */
static atomic_int mode, second_ends, seen, bar_shown, advise_load;
static _Atomic(slm_session *) running;
static char model_name[512], temporary_name[4096];
static atomic_int have_temporary;

static void put(const char *text) {
    size_t n = strlen(text);
    while (n > 0) {
        ssize_t written = write(STDERR_FILENO, text, n);
        if (written <= 0)
            return;
        text += written;
        n -= (size_t)written;
    }
}

/* Only async-signal-safe calls (POSIX.1-2008, 2.4.3). */
static _Noreturn void leave(int status) {
    if (atomic_load(&have_temporary))
        unlink(temporary_name);
    if (atomic_load(&bar_shown))
        put("\r\033[K");
    _exit(status);
}

static void on_interrupt(int signal_number) {
    (void)signal_number;
    int again = atomic_exchange(&seen, 1);
    int what = atomic_load(&mode);
    if (what == ON_EXIT || (what == ON_CANCEL && again && atomic_load(&second_ends)))
        leave(SLM_EXIT_INTERRUPTED);
    slm_session *session = atomic_load(&running);
    if (what == ON_CANCEL && session)
        slm_session_cancel(session);
}

/* Keeps the handlers' line one line. */
static char printable(char c) { return (unsigned char)c < 0x20 || c == 0x7f ? '?' : c; }

/* The last component of the name of the file that is mapped at an address, out of the system's list
 * of mappings ("55d0-55e0 r--s 00000000 fe:00 1234   /path"); 0 when it cannot be told. */
static int name_at(uintptr_t address, char *name, size_t cap) {
    static const char digits[] = "0123456789abcdef";
    char text[1024];
    uintptr_t bounds[2] = {0, 0};
    size_t field = 0, used = 0; /* 0 and 1: the bounds, 2: up to the path, 3: in it */
    int fd = open("/proc/self/maps", O_RDONLY), found = 0;
    for (ssize_t n; fd >= 0 && !found && (n = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < n && !found; i++) {
            char c = text[i];
            const char *digit = field < 2 && c ? strchr(digits, c) : NULL;
            if (c == '\n') {
                found = used > 0 && address >= bounds[0] && address < bounds[1];
                bounds[0] = bounds[1] = 0;
                field = 0;
                used = found ? used : 0;
            } else if (digit) {
                bounds[field] = bounds[field] << 4 | (uintptr_t)(digit - digits);
            } else if (field < 2) {
                field++;
            } else if (c == '/') {
                field = 3;
                used = 0;
            } else if (field == 3 && used + 1 < cap) {
                name[used++] = printable(c);
            }
        }
    if (fd >= 0)
        close(fd);
    name[used] = '\0';
    return found;
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context) {
    static atomic_flag told = ATOMIC_FLAG_INIT;
    char name[256];
    (void)signal_number;
    (void)context;
    while (atomic_flag_test_and_set(&told))
        pause(); /* another thread came upon it too: that one speaks, and ends the program */
    put("slm: ");
    put(name_at((uintptr_t)info->si_addr, name, sizeof name) ? name
        : model_name[0]                                      ? model_name
                                                             : "input");
    put(": got a file that was cut short while it was in use, wanted it unchanged");
    put(atomic_load(&advise_load) ? " (--load read makes a copy)\n" : "\n");
    leave(SLM_EXIT_FAILED);
}

void slm_cli_signals(void) {
    struct sigaction action = {0};
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_interrupt; /* no SA_RESTART: reading a line is to end */
    static const int interrupts[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof interrupts / sizeof *interrupts; i++) {
        struct sigaction old;
        /* nohup and background jobs of a shell have these ignored, which is to stay so */
        if (sigaction(interrupts[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(interrupts[i], &action, NULL);
    }
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
    action.sa_flags = 0;
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

void slm_cli_on_interrupt_exit(void) {
    atomic_store(&mode, ON_EXIT);
    atomic_store(&running, (slm_session *)NULL);
}

void slm_cli_on_interrupt_cancel(slm_session *session, int second_exits) {
    atomic_store(&second_ends, second_exits);
    atomic_store(&running, session);
    atomic_store(&mode, ON_CANCEL);
}

void slm_cli_on_interrupt_note(void) {
    atomic_store(&mode, ON_NOTE);
    atomic_store(&running, (slm_session *)NULL);
}

int slm_cli_interrupted(void) { return atomic_load(&seen); }

void slm_cli_forget_interrupt(void) { atomic_store(&seen, 0); }

void slm_cli_name_model(const char *path, int has_load) {
    atomic_store(&advise_load, has_load);
    size_t n = strlen(path) < sizeof model_name - 1 ? strlen(path) : sizeof model_name - 1;
    for (size_t i = 0; i < n; i++)
        model_name[i] = printable(path[i]);
    model_name[n] = '\0';
}

void slm_cli_name_temporary(const char *path) {
    atomic_store(&have_temporary, 0);
    if (!path || strlen(path) >= sizeof temporary_name)
        return;
    strcpy(temporary_name, path);
    atomic_store(&have_temporary, 1);
}

/* ---------------------------------------------------------------- progress bar --------------- */

static struct {
    const char *label; /* NULL: none under way */
    double begun, drawn;
} bar;

int slm_cli_bar_wanted(void) { return !slm_cli_quiet() && isatty(STDERR_FILENO); }

void slm_cli_bar_begin(const char *label) {
    if (!slm_cli_bar_wanted())
        return;
    bar.label = label;
    bar.begun = slm_cli_now();
    bar.drawn = 0;
}

void slm_cli_bar(uint64_t done, uint64_t total) {
    enum { WIDTH = 30 };
    double now = bar.label ? slm_cli_now() : 0;
    if (!bar.label || total == 0 || now - bar.begun < 1 || now - bar.drawn < 0.1)
        return;
    double share = done < total ? (double)done / (double)total : 1;
    char cells[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        cells[i] = (double)i < share * WIDTH ? '#' : '.';
    cells[WIDTH] = '\0';
    double left = share > 0 ? (now - bar.begun) * (1 - share) / share : 0;
    bar.drawn = now;
    atomic_store(&bar_shown, 1);
    fprintf(stderr, "\r\033[K%s [%s] %3.0f %%, %.0f s left", bar.label, cells, share * 100, left);
    fflush(stderr);
}

void slm_cli_bar_end(void) {
    bar.label = NULL;
    if (!atomic_exchange(&bar_shown, 0))
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
}
