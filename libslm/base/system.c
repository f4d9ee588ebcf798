#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_CAP 600

int slm_read_text(const char *path, char *text, size_t cap) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    size_t used = 0;
    while (used + 1 < cap) {
        ssize_t n = read(fd, text + used, cap - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    close(fd);
    text[used] = 0;
    return 1;
}

uint64_t slm_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- control groups ---- */

/* One of the two trees in which a controller's files can lie: version 2 ("0::/path" in
 * /proc/self/cgroup) or version 1 ("5:memory:/path"). */
typedef struct cgroup {
    const char *mount;
    const char *controller; /* "" for version 2 */
} cgroup;

/* Finds the process's path in the tree; *top receives the length of the tree's own. */
static int cgroup_path(const char *root, const cgroup *tree, char *path, size_t *top) {
    char text[4096];
    snprintf(path, PATH_CAP, "%s/proc/self/cgroup", root);
    if (!slm_read_text(path, text, sizeof text))
        return 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *list = strchr(line, ':');
        char *where = list ? strchr(list + 1, ':') : NULL;
        if (!where)
            continue;
        *where++ = 0;
        char *rest = NULL;
        int found = tree->controller[0] == 0 && list[1] == 0;
        for (char *c = strtok_r(list + 1, ",", &rest); c && !found; c = strtok_r(NULL, ",", &rest))
            found = strcmp(c, tree->controller) == 0;
        *top = strlen(root) + strlen(tree->mount);
        if (found)
            return snprintf(path, PATH_CAP, "%s%s%s", root, tree->mount, where) < PATH_CAP;
    }
    return 0;
}

/* Calls visit for the process's group and each group above it. Inside a container the path may name
 * groups that cannot be seen; the limits of the container are at the top then. */
static void cgroup_walk(const char *root, const cgroup *tree,
                        void (*visit)(const char *path, uint64_t *least), uint64_t *least) {
    char path[PATH_CAP];
    size_t top;
    if (!cgroup_path(root, tree, path, &top))
        return;
    for (size_t len = strlen(path); len >= top; len--) {
        if (len > top && path[len] != '/' && path[len] != 0)
            continue;
        path[len] = 0;
        visit(path, least);
    }
}

static int read_in(const char *folder, const char *file, char *text, size_t cap) {
    char path[PATH_CAP + 64];
    return snprintf(path, sizeof path, "%s/%s", folder, file) < (int)sizeof path &&
           slm_read_text(path, text, cap);
}

static void lower(uint64_t *least, uint64_t value) {
    if (value < *least)
        *least = value;
}

/* Whole processors that a quota amounts to. */
static void quota_of(uint64_t quota, uint64_t period, uint64_t *least) {
    if (quota > 0 && period > 0)
        lower(least, quota / period > 1 ? quota / period : 1);
}

static void visit_cpu_v2(const char *path, uint64_t *least) {
    char text[64];
    uint64_t quota, period; /* "max 100000" has no quota */
    if (read_in(path, "cpu.max", text, sizeof text) &&
        sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) == 2)
        quota_of(quota, period, least);
}

static void visit_cpu_v1(const char *path, uint64_t *least) {
    char quota[64], period[64];
    if (read_in(path, "cpu.cfs_quota_us", quota, sizeof quota) && quota[0] != '-' &&
        read_in(path, "cpu.cfs_period_us", period, sizeof period))
        quota_of(strtoull(quota, NULL, 10), strtoull(period, NULL, 10), least);
}

/* Pages of files in the cache that were not used lately count as used memory but can be taken. */
static void room_of(const char *path, const char *limit_file, const char *used_file,
                    const char *cache_key, uint64_t *least) {
    char text[4096];
    if (!read_in(path, limit_file, text, sizeof text) || text[0] < '0' || text[0] > '9')
        return;
    uint64_t limit = strtoull(text, NULL, 10);
    if (!read_in(path, used_file, text, sizeof text))
        return;
    uint64_t used = strtoull(text, NULL, 10);
    if (read_in(path, "memory.stat", text, sizeof text)) {
        const char *at = strstr(text, cache_key);
        uint64_t cache = at ? strtoull(at + strlen(cache_key), NULL, 10) : 0;
        used = cache < used ? used - cache : 0;
    }
    lower(least, used < limit ? limit - used : 0);
}

static void visit_memory_v2(const char *path, uint64_t *least) {
    room_of(path, "memory.max", "memory.current", "\ninactive_file ", least);
}

static void visit_memory_v1(const char *path, uint64_t *least) {
    room_of(path, "memory.limit_in_bytes", "memory.usage_in_bytes", "\ntotal_inactive_file ",
            least);
}

/* ---- processors ---- */

uint32_t slm_cpu_count_in(const char *root) {
    static const cgroup v2 = {"/sys/fs/cgroup", ""};
    static const cgroup v1 = {"/sys/fs/cgroup/cpu", "cpu"};
    uint64_t n = slm_core_count(root);
    cgroup_walk(root, &v2, visit_cpu_v2, &n);
    cgroup_walk(root, &v1, visit_cpu_v1, &n);
    return (uint32_t)n;
}

uint32_t slm_cpu_count(void) {
    return slm_cpu_count_in("");
}

/* ---- memory ---- */

uint64_t slm_memory_available_in(const char *root) {
    static const cgroup v2 = {"/sys/fs/cgroup", ""};
    static const cgroup v1 = {"/sys/fs/cgroup/memory", "memory"};
    static const char key[] = "\nMemAvailable:";
    char path[PATH_CAP], text[4096];
    uint64_t least = UINT64_MAX;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    const char *at = slm_read_text(path, text, sizeof text) ? strstr(text, key) : NULL;
    if (at)
        least = strtoull(at + sizeof key - 1, NULL, 10) * 1024;
    cgroup_walk(root, &v2, visit_memory_v2, &least);
    cgroup_walk(root, &v1, visit_memory_v1, &least);
    return least;
}

uint64_t slm_memory_available(void) {
    return slm_memory_available_in("");
}

void *slm_alloc_touched(slm_host *host, size_t size) {
    /* An allocator of the host's own may hold its memory already, so its word counts. */
    if (slm_host_is_std(host) && size > slm_memory_available())
        return NULL;
    uint8_t *data = slm_alloc(host, size);
    if (!data)
        return NULL;
    slm_advise_huge(data, size);
    long page = sysconf(_SC_PAGESIZE);
    size_t step = page > 0 ? (size_t)page : 4096;
    /* volatile: a store that nothing reads must stay. */
    volatile uint8_t *touch = data;
    for (size_t i = 0; i < size; i += step)
        touch[i] = 0;
    if (size > 0)
        touch[size - 1] = 0;
    return data;
}
