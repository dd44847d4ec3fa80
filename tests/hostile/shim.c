/* Make system calls on some files slow or let them fail: preloaded into a process by LD_PRELOAD.

   HOSTILE_RULES has one rule a line: CALL GLOB ERRNO PROBABILITY DELAY_MS LIMIT, e.g.
   "write *run*.json 28 0.1 0 5". A rule for a call and a path applies with its PROBABILITY; the
   first one that does decides. The call is delayed by up to DELAY_MS, and fails with ERRNO unless
   that is 0. LIMIT is how many times a rule may make calls fail, in all processes together; after
   that the next rule is tried. Each failure is a line in HOSTILE_LOG, by which they are counted. If
   HOSTILE_SWITCH names a file, rules apply only while it exists.

   The calls: open (for reading), create, write, rename, rename2 (renameat2), link, fsync, unlink,
   utime, mkdir. A delayed `create` returns late, so the file is empty for that long. A write that
   fails with ENOSPC (28) writes half first, as on a full disk; the next one on that descriptor
   fails. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RULES 32
#define DESCRIPTORS 4096
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct rule {
    char call[16], glob[256];
    int error;
    double probability;
    int delay, limit;
};

static struct rule rules[RULES];
static int count = -1;
static char is_full[DESCRIPTORS]; /* descriptors that have just written half */

static double chance(void) {
    unsigned number = 0;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0) number = 0;
    return number / 4294967296.0;
}

static void load(void) {
    const char *text = getenv("HOSTILE_RULES");
    int found = 0;
    while (text && *text && found < RULES) {
        struct rule *rule = &rules[found];
        if (sscanf(text, "%15s %255s %d %lf %d %d", rule->call, rule->glob, &rule->error,
                   &rule->probability, &rule->delay, &rule->limit) == 6)
            found++;
        text = strchr(text, '\n');
        if (text) text++;
    }
    count = found;
}

/* Whether a rule may make one more call fail; if so, its line is added to the log. */
static int may_fail(int number, const char *path) {
    const char *log = getenv("HOSTILE_LOG");
    if (!log) return 1;
    int descriptor = REAL(open)(log, O_RDWR | O_CREAT | O_APPEND, 0666);
    if (descriptor < 0) return 0;
    char *data = NULL, mark[32];
    struct stat status;
    int done = 0;
    snprintf(mark, sizeof mark, "rule %d ", number);
    if (fstat(descriptor, &status) == 0 && (data = malloc(status.st_size + 1))) {
        ssize_t size = pread(descriptor, data, status.st_size, 0);
        data[size < 0 ? 0 : size] = 0;
        for (char *at = data; (at = strstr(at, mark)); at += strlen(mark)) done++;
        free(data);
    }
    if (done < rules[number].limit)
        dprintf(descriptor, "%s%s %d %s\n", mark, rules[number].call, rules[number].error, path);
    REAL(close)(descriptor);
    return done < rules[number].limit;
}

/* Delay a call as its rule says. Returns the error with which it must fail, else 0. */
static int verdict(const char *call, int folder, const char *path) {
    char whole[2 * PATH_MAX];
    int saved = errno, error = 0;
    if (count < 0) load();
    const char *file = getenv("HOSTILE_SWITCH");
    if (count == 0 || path == NULL) return 0;
    if (file && access(file, F_OK)) {
        errno = saved;
        return 0;
    }
    if (path[0] != '/') { /* globs are written for the path from the root */
        char link[64], base[PATH_MAX] = "";
        if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t size = readlink(link, base, sizeof base - 1);
        base[size < 0 ? 0 : size] = 0;
        snprintf(whole, sizeof whole, "%s/%s", base, path);
        path = whole;
    }
    for (int number = 0; number < count; number++) {
        struct rule *rule = &rules[number];
        if (strcmp(rule->call, call) || fnmatch(rule->glob, path, 0)) continue;
        if (chance() >= rule->probability) continue;
        if (rule->delay) {
            long wait = (long)(rule->delay * chance() * 1e6);
            struct timespec pause = {wait / 1000000000, wait % 1000000000};
            while (nanosleep(&pause, &pause) && errno == EINTR) continue;
        }
        if (rule->error && !may_fail(number, path)) continue;
        error = rule->error;
        break;
    }
    errno = saved;
    return error;
}

static int verdict_of(const char *call, int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    if (count < 0) load();
    int saved = errno;
    ssize_t size = count ? readlink(link, path, sizeof path - 1) : -1;
    errno = saved;
    if (size <= 0 || path[0] != '/') return 0; /* a pipe, a socket */
    path[size] = 0;
    return verdict(call, AT_FDCWD, path);
}

#define FAIL_IF(error)                                                                             \
    do {                                                                                           \
        int found = error;                                                                         \
        if (found) {                                                                               \
            errno = found;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

/* -- Opening: a file is created, and then the caller is kept waiting ------------------------------ */

static int opened(int folder, const char *path, int flags, mode_t mode) {
    int (*real)(int, const char *, int, ...) = REAL(openat);
    if (!(flags & O_CREAT)) {
        if ((flags & O_ACCMODE) == O_RDONLY) FAIL_IF(verdict("open", folder, path));
        return real(folder, path, flags, mode);
    }
    struct stat status;
    int saved = errno, is_there = fstatat(folder, path, &status, 0) == 0;
    errno = saved;
    if (is_there) return real(folder, path, flags, mode);
    int descriptor = real(folder, path, flags, mode);
    if (descriptor < 0) return descriptor;
    int error = verdict("create", folder, path);
    if (!error) return descriptor;
    REAL(close)(descriptor);
    unlinkat(folder, path, 0);
    errno = error;
    return -1;
}

#define MODE(flags)                                                                                \
    mode_t mode = 0;                                                                               \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                           \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return opened(folder, path, flags, mode); }

/* -- The others ----------------------------------------------------------------------------------- */

ssize_t write(int descriptor, const void *data, size_t size) {
    int near = descriptor >= 0 && descriptor < DESCRIPTORS;
    if (near && is_full[descriptor]) {
        is_full[descriptor] = 0;
        errno = ENOSPC;
        return -1;
    }
    int error = verdict_of("write", descriptor);
    if (error == ENOSPC && near && size > 1) {
        is_full[descriptor] = 1;
        return REAL(write)(descriptor, data, size / 2);
    }
    FAIL_IF(error);
    return REAL(write)(descriptor, data, size);
}

int close(int descriptor) {
    if (descriptor >= 0 && descriptor < DESCRIPTORS) is_full[descriptor] = 0;
    return REAL(close)(descriptor);
}

int fsync(int descriptor) {
    FAIL_IF(verdict_of("fsync", descriptor));
    return REAL(fsync)(descriptor);
}

int rename(const char *from, const char *to) {
    FAIL_IF(verdict("rename", AT_FDCWD, to));
    return REAL(rename)(from, to);
}

int renameat(int old, const char *from, int new, const char *to) {
    FAIL_IF(verdict("rename", new, to));
    return REAL(renameat)(old, from, new, to);
}

int renameat2(int old, const char *from, int new, const char *to, unsigned flags) {
    FAIL_IF(verdict("rename2", new, to));
    return REAL(renameat2)(old, from, new, to, flags);
}

int link(const char *from, const char *to) {
    FAIL_IF(verdict("link", AT_FDCWD, to));
    return REAL(link)(from, to);
}

int linkat(int old, const char *from, int new, const char *to, int flags) {
    FAIL_IF(verdict("link", new, to));
    return REAL(linkat)(old, from, new, to, flags);
}

int unlink(const char *path) {
    FAIL_IF(verdict("unlink", AT_FDCWD, path));
    return REAL(unlink)(path);
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    FAIL_IF(verdict("utime", folder, path));
    return REAL(utimensat)(folder, path, times, flags);
}

int mkdir(const char *path, mode_t mode) {
    FAIL_IF(verdict("mkdir", AT_FDCWD, path));
    return REAL(mkdir)(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    FAIL_IF(verdict("mkdir", folder, path));
    return REAL(mkdirat)(folder, path, mode);
}
