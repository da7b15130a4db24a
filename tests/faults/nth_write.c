/* Preloaded: the n-th change of a file below a folder kills the process, or fails. After SQLite's way of testing.

   A change is: making a file or folder, a write, a sync, a rename, a removal, a truncation. Killed in a write, half of
   the bytes have gone out. `fault_arm(n, error, folder)`: error 0 kills; ENOSPC fails this and every later making and
   writing, as a full disk does; any other error fails this change alone. n = 0 only counts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];
static atomic_int count;
static int target, failure;

void fault_arm(int n, int error, const char *below) { target = n, failure = error, count = 0; strncpy(folder, below, PATH_MAX - 1); }
int fault_count(void) { return count; }

static int inside(const char *path) { return folder[0] && path && !strncmp(path, folder, strlen(folder)); }

static int inside_fd(int fd) {
    char link[64] = "/proc/self/fd/", path[PATH_MAX] = "";
    if (!folder[0]) return 0;
    int at = 14, digits[12], n = 0;
    for (int rest = fd; n == 0 || rest; rest /= 10) digits[n++] = rest % 10;
    while (n) link[at++] = '0' + digits[--n];
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    return size > 0 && inside(path);
}

/* Whether this change fails; does not return where it kills. `takes_space`: only such changes fail on a full disk. */
static int fails(int takes_space) {
    int number = ++count;
    if (!target || number < target) return 0;
    if (number == target && !failure) kill(getpid(), SIGKILL);
    if (number > target && failure != ENOSPC) return 0;
    if (failure == ENOSPC && !takes_space) return 0;
    errno = failure;
    return failure;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (!inside_fd(fd)) return real(fd, data, size);
    if (target && !failure && count + 1 == target) real(fd, data, size / 2);
    return fails(1) ? -1 : real(fd, data, size);
}
int fsync(int fd) { REAL(fsync); return inside_fd(fd) && fails(1) ? -1 : real(fd); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); return inside_fd(fd) && fails(0) ? -1 : real(fd, size); }
int rename(const char *old, const char *new) { REAL(rename); return inside(new) && fails(0) ? -1 : real(old, new); }
int unlink(const char *path) { REAL(unlink); return inside(path) && fails(0) ? -1 : real(path); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); return inside(path) && fails(1) ? -1 : real(path, mode); }

int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    struct stat there;
    if ((flags & O_CREAT) && inside(path) && stat(path, &there) && fails(1)) return -1;
    return real(path, flags, mode);
}
