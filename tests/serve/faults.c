/* Calls to the system that fail when a test says so. The library that this becomes is loaded into a
 * program before the C library (LD_PRELOAD); SLM_FAULTS names a file that the test and the program both
 * map, with a `page` in it. Without that file all calls go through. */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Which calls are counted and fail. */
enum { MEMORY = 1, THREADS = 2, FILES = 4, SOCKETS = 8, EVENTS = 16 };

typedef struct page {
    _Atomic uint64_t kinds;
    _Atomic uint64_t fail_at;  /* number of the call that fails, from 1; 0: none */
    _Atomic uint64_t for_good; /* those behind it fail, too */
    _Atomic uint64_t error;    /* errno; 0: what is usual for the call */
    _Atomic uint64_t n_calls;
    _Atomic int64_t n_blocks;  /* of memory, that are not freed */
    _Atomic int64_t clock;     /* seconds by which the time of day is wrong */
} page;

static page none;
static page *at = &none;

/* What the C library calls the functions itself; they need no looking up, which allocates. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SLM_FAULTS"), *numbers = getenv("SLM_FAULTS_LOCALE");
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof(page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                        : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    if (map != MAP_FAILED)
        at = map;
    if (numbers && !setlocale(LC_ALL, numbers))
        abort(); /* the test asked for a language that is not there */
}

static int fails(uint64_t kind, int usual) {
    if (!(atomic_load(&at->kinds) & kind))
        return 0;
    uint64_t n = atomic_fetch_add(&at->n_calls, 1) + 1, fail_at = atomic_load(&at->fail_at);
    if (fail_at == 0 || n < fail_at || (n > fail_at && !atomic_load(&at->for_good)))
        return 0;
    int error = (int)atomic_load(&at->error);
    errno = error ? error : usual;
    return 1;
}

/* The function that this one stands before. */
#define NEXT(name)                                                                                 \
    static __typeof__(name) *original;                                                             \
    if (!original)                                                                                 \
    *(void **)&original = dlsym(RTLD_NEXT, #name)

/* ---- memory ----------------------------------------------------------------------------------- */

static void *counted(void *block) {
    if (block)
        atomic_fetch_add(&at->n_blocks, 1);
    return block;
}

void *malloc(size_t size) { return fails(MEMORY, ENOMEM) ? NULL : counted(__libc_malloc(size)); }

void *calloc(size_t n, size_t size) {
    return fails(MEMORY, ENOMEM) ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *block, size_t size) {
    if (fails(MEMORY, ENOMEM))
        return NULL;
    void *moved = __libc_realloc(block, size);
    if (!block)
        counted(moved);
    else if (!moved && size == 0)
        atomic_fetch_sub(&at->n_blocks, 1);
    return moved;
}

void *memalign(size_t align, size_t size) {
    return fails(MEMORY, ENOMEM) ? NULL : counted(__libc_memalign(align, size));
}

void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }

int posix_memalign(void **out, size_t align, size_t size) {
    void *block = memalign(align, size);
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

void free(void *block) {
    if (block)
        atomic_fetch_sub(&at->n_blocks, 1);
    __libc_free(block);
}

/* ---- threads, files and sockets --------------------------------------------------------------- */

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *arg) {
    NEXT(pthread_create);
    return fails(THREADS, EAGAIN) ? errno : original(thread, how, run, arg);
}

int open(const char *path, int flags, ...) {
    NEXT(open);
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(FILES, EMFILE) ? -1 : original(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode) {
    NEXT(fopen);
    return fails(FILES, EMFILE) ? NULL : original(path, mode);
}

int fstat(int fd, struct stat *what) {
    NEXT(fstat);
    return fails(FILES, EIO) ? -1 : original(fd, what);
}

ssize_t pread(int fd, void *buffer, size_t n, off_t offset) {
    NEXT(pread);
    return fails(FILES, EIO) ? -1 : original(fd, buffer, n, offset);
}

ssize_t read(int fd, void *buffer, size_t n) {
    NEXT(read);
    return fails(FILES, EIO) ? -1 : original(fd, buffer, n);
}

void *mmap(void *where, size_t n, int protection, int flags, int fd, off_t offset) {
    NEXT(mmap);
    return fails(FILES, ENOMEM) ? MAP_FAILED : original(where, n, protection, flags, fd, offset);
}

int eventfd(unsigned count, int flags) {
    NEXT(eventfd);
    return fails(FILES, EMFILE) ? -1 : original(count, flags);
}

int epoll_create1(int flags) {
    NEXT(epoll_create1);
    return fails(FILES, EMFILE) ? -1 : original(flags);
}

int socket(int domain, int type, int protocol) {
    NEXT(socket);
    return fails(FILES, EMFILE) ? -1 : original(domain, type, protocol);
}

int epoll_ctl(int fd, int what, int other, struct epoll_event *event) {
    NEXT(epoll_ctl);
    return what == EPOLL_CTL_ADD && fails(EVENTS, ENOMEM) ? -1
                                                          : original(fd, what, other, event);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
    NEXT(accept4);
    return fails(SOCKETS, EMFILE) ? -1 : original(fd, address, size, flags);
}

ssize_t recv(int fd, void *buffer, size_t n, int flags) {
    NEXT(recv);
    return fails(SOCKETS, ECONNRESET) ? -1 : original(fd, buffer, n, flags);
}

ssize_t send(int fd, const void *buffer, size_t n, int flags) {
    NEXT(send);
    return fails(SOCKETS, EPIPE) ? -1 : original(fd, buffer, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    NEXT(sendmsg);
    return fails(SOCKETS, EPIPE) ? -1 : original(fd, message, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    NEXT(writev);
    return fails(SOCKETS, EPIPE) ? -1 : original(fd, parts, n);
}

/* ---- the clock -------------------------------------------------------------------------------- */

int clock_gettime(clockid_t clock, struct timespec *t) {
    NEXT(clock_gettime);
    int status = original(clock, t);
    if (status == 0 && clock == CLOCK_REALTIME)
        t->tv_sec += atomic_load(&at->clock);
    return status;
}

time_t time(time_t *out) {
    struct timespec t = {0};
    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}
