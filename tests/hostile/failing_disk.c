/* Preloaded into a host: the calls that the file $FAILING_DISK names fail on its hub, as "write 28" or "sync 5" say. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd, const char *call) {
    char link[64], path[4096], told[64];
    const char *control = getenv("FAILING_DISK");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (control == NULL || length < 0)
        return 0;
    path[length] = 0;
    if (strstr(path, "hub.db") == NULL)
        return 0;
    FILE *file = fopen(control, "r");
    if (file == NULL)
        return 0;
    int number, found = fscanf(file, "%63s %d", told, &number) == 2 && strcmp(told, call) == 0;
    fclose(file);
    if (found)
        errno = number;
    return found;
}

#define WRAP(type, name, call, parameters, arguments) \
    type name parameters { \
        static type (*real) parameters; \
        if (real == NULL) \
            real = (type (*) parameters) dlsym(RTLD_NEXT, #name); \
        return fails(fd, call) ? -1 : real arguments; \
    }

WRAP(ssize_t, pwrite, "write", (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRAP(ssize_t, pwrite64, "write", (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRAP(ssize_t, write, "write", (int fd, const void *data, size_t size), (fd, data, size))
WRAP(ssize_t, pread, "read", (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
WRAP(ssize_t, pread64, "read", (int fd, void *data, size_t size, off64_t at), (fd, data, size, at))
WRAP(ssize_t, read, "read", (int fd, void *data, size_t size), (fd, data, size))
WRAP(int, fsync, "sync", (int fd), (fd))
WRAP(int, fdatasync, "sync", (int fd), (fd))
