/* Records what a process does to the files below $RECORD_ROOT, in the order in which it happens, into
 * $RECORD_LOG: to be preloaded. Every record is a header, a path, perhaps a second path, and data.
 *
 *     cc -shared -fPIC -O1 -o recorder.so recorder.c
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct header {
    int32_t kind, path, other;
    int64_t offset, length;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static int journal = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("RECORD_LOG");
    root = getenv("RECORD_ROOT");
    if (log && root)
        journal = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *data, size_t size) {
    const char *rest = data;
    while (size > 0) {
        ssize_t done = REAL(write)(journal, rest, size);
        if (done <= 0)
            abort();
        rest += done, size -= done;
    }
}

/* The mutex is held, and errno is to be kept. */
static void record(char kind, const char *path, const char *other, int64_t offset, const void *data, int64_t length) {
    if (journal < 0 || strncmp(path, root, strlen(root)) != 0)
        return;
    int before = errno;
    struct header head = {kind, strlen(path), other ? strlen(other) : 0, offset, length};
    put(&head, sizeof head);
    put(path, head.path);
    if (other)
        put(other, head.other);
    if (data)
        put(data, length);
    errno = before;
}

static const char *path_of(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    buffer[length < 0 ? 0 : length] = 0;
    return buffer;
}

/* ---------------------------------------------------------------- names */

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        mode_t mode = 0;                                                                                               \
        if (flags & O_CREAT) {                                                                                         \
            va_list list;                                                                                              \
            va_start(list, flags);                                                                                     \
            mode = va_arg(list, mode_t);                                                                               \
            va_end(list);                                                                                              \
        }                                                                                                              \
        if (!(flags & O_CREAT) || journal < 0)                                                                         \
            return REAL(name)(path, flags, mode);                                                                      \
        pthread_mutex_lock(&mutex);                                                                                    \
        int made = access(path, F_OK) != 0;                                                                            \
        int fd = REAL(name)(path, flags, mode);                                                                        \
        char buffer[PATH_MAX];                                                                                         \
        if (fd >= 0 && made)                                                                                           \
            record('c', path_of(fd, buffer), NULL, 0, NULL, 0);                                                        \
        pthread_mutex_unlock(&mutex);                                                                                  \
        return fd;                                                                                                     \
    }
OPEN(open)
OPEN(open64)

int mkdir(const char *path, mode_t mode) {
    pthread_mutex_lock(&mutex);
    int result = REAL(mkdir)(path, mode);
    if (result == 0)
        record('m', path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int rename(const char *old, const char *new) {
    pthread_mutex_lock(&mutex);
    int result = REAL(rename)(old, new);
    if (result == 0)
        record('r', old, new, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int unlink(const char *path) {
    pthread_mutex_lock(&mutex);
    int result = REAL(unlink)(path);
    if (result == 0)
        record('u', path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

/* ---------------------------------------------------------------- contents */

ssize_t write(int fd, const void *data, size_t size) {
    if (journal < 0)
        return REAL(write)(fd, data, size);
    pthread_mutex_lock(&mutex);
    struct stat found;
    int is_file = fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
    int appends = is_file && (fcntl(fd, F_GETFL) & O_APPEND);
    int64_t offset = appends ? found.st_size : is_file ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = REAL(write)(fd, data, size);
    char buffer[PATH_MAX];
    if (is_file && done > 0)
        record('w', path_of(fd, buffer), NULL, offset, data, done);
    pthread_mutex_unlock(&mutex);
    return done;
}

#define PWRITE(name, type)                                                                                             \
    ssize_t name(int fd, const void *data, size_t size, type offset) {                                                 \
        pthread_mutex_lock(&mutex);                                                                                    \
        ssize_t done = REAL(name)(fd, data, size, offset);                                                             \
        char buffer[PATH_MAX];                                                                                         \
        if (done > 0)                                                                                                  \
            record('w', path_of(fd, buffer), NULL, offset, data, done);                                                \
        pthread_mutex_unlock(&mutex);                                                                                  \
        return done;                                                                                                   \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, type)                                                                                           \
    int name(int fd, type length) {                                                                                    \
        pthread_mutex_lock(&mutex);                                                                                    \
        int result = REAL(name)(fd, length);                                                                           \
        char buffer[PATH_MAX];                                                                                         \
        if (result == 0)                                                                                               \
            record('t', path_of(fd, buffer), NULL, length, NULL, 0);                                                   \
        pthread_mutex_unlock(&mutex);                                                                                  \
        return result;                                                                                                 \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                                                                     \
    int name(int fd) {                                                                                                 \
        pthread_mutex_lock(&mutex);                                                                                    \
        int result = REAL(name)(fd);                                                                                   \
        char buffer[PATH_MAX];                                                                                         \
        if (result == 0)                                                                                               \
            record('s', path_of(fd, buffer), NULL, 0, NULL, 0);                                                        \
        pthread_mutex_unlock(&mutex);                                                                                  \
        return result;                                                                                                 \
    }
SYNC(fsync)
SYNC(fdatasync)
