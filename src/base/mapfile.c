/* SPDX-License-Identifier: MIT */
#include "base/mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/memory.h"

enum { FIRST_CAPACITY = 1 << 16 };

/* strerror keeps its buffer per thread since glibc 2.32, and in musl. */
static vt_status fail_errno(vt_error *err, const char *path, int number) {
    return vt_fail(err, VT_ERR_IO, "%s: %s", path, strerror(number));
}

static vt_status fail_limit(vt_error *err, const char *path, uint64_t max_bytes) {
    return vt_fail(err, VT_ERR_LIMIT, "%s: over the limit of %" PRIu64 " bytes", path, max_bytes);
}

static ssize_t read_some(int fd, unsigned char *bytes, size_t size) {
    ssize_t count;
    do
        count = read(fd, bytes, size);
    while (count < 0 && errno == EINTR);
    return count;
}

/* To its end, wherever that is: pipes, devices and all of /proc say nothing of their size, and
 * others may change it. `expected` bytes are asked for at first, and one more to meet the end. */
static vt_status read_to_end(vt_mapfile *out, int fd, const char *path, size_t expected,
                             uint64_t max_bytes, vt_error *err) {
    unsigned char *bytes = NULL;
    size_t used = 0, capacity = 0;
    vt_status status = VT_OK;
    for (;;) {
        if (used == capacity) {
            size_t grown;
            if (!capacity)
                grown = expected ? expected + 1 : FIRST_CAPACITY;
            else if (!vt_mul_size(capacity, 2, &grown))
                grown = SIZE_MAX;
            unsigned char *moved = vt_realloc(bytes, used, grown, 1);
            if (!moved) {
                status = vt_fail_memory(err, path, grown);
                break;
            }
            bytes = moved;
            capacity = grown;
        }
        ssize_t count = read_some(fd, bytes + used, capacity - used);
        if (count < 0)
            status = fail_errno(err, path, errno);
        if (count <= 0)
            break;
        used += (size_t)count;
        if (max_bytes && used > max_bytes) {
            status = fail_limit(err, path, max_bytes);
            break;
        }
    }
    if (status) {
        vt_free(bytes);
        return status;
    }
    *out = (vt_mapfile){.data = bytes, .size = used};
    return VT_OK;
}

static vt_status map_regular(vt_mapfile *out, int fd, const char *path, uint64_t size,
                             vt_error *err) {
    void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return fail_errno(err, path, errno);
    *out = (vt_mapfile){.data = data, .size = (size_t)size, .mapped = true};
    return VT_OK;
}

/* Standard input is always read: the part before its offset may be another program's. */
static vt_status open_descriptor(vt_mapfile *out, int fd, bool map, const char *path,
                                 uint64_t max_bytes, vt_error *err) {
    struct stat about;
    if (fstat(fd, &about))
        return fail_errno(err, path, errno);
    if (S_ISDIR(about.st_mode))
        return fail_errno(err, path, EISDIR);
    if (!S_ISREG(about.st_mode) || about.st_size <= 0)
        return read_to_end(out, fd, path, 0, max_bytes, err);
    const uint64_t size = (uint64_t)about.st_size;
    if (max_bytes && size > max_bytes)
        return fail_limit(err, path, max_bytes);
    if (size >= SIZE_MAX)
        return fail_limit(err, path, SIZE_MAX - 1);
    return map ? map_regular(out, fd, path, size, err)
               : read_to_end(out, fd, path, (size_t)size, max_bytes, err);
}

static vt_status open_path(vt_mapfile *out, const char *path, bool map, uint64_t max_bytes,
                           vt_error *err) {
    *out = (vt_mapfile){0};
    if (strcmp(path, "-") == 0)
        return open_descriptor(out, STDIN_FILENO, false, "standard input", max_bytes, err);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, path, errno);
    const vt_status status = open_descriptor(out, fd, map, path, max_bytes, err);
    close(fd); /* a mapping outlives its descriptor */
    return status;
}

vt_status vt_mapfile_open(vt_mapfile *out, const char *path, uint64_t max_bytes, vt_error *err) {
    return open_path(out, path, true, max_bytes, err);
}

vt_status vt_mapfile_read(vt_mapfile *out, const char *path, uint64_t max_bytes, vt_error *err) {
    return open_path(out, path, false, max_bytes, err);
}

/* Without O_NONBLOCK, opening a pipe that nobody writes to would wait. */
static vt_status open_stored(vt_mapfile *out, const char *path, bool map, uint64_t max_bytes,
                             vt_error *err) {
    struct stat about;
    *out = (vt_mapfile){0};
    vt_status status = vt_limits_check_link(path, err);
    if (status)
        return status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(err, path, errno);
    if (fstat(fd, &about) == 0 && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode))
        status = vt_fail(err, VT_ERR_IO, "%s: not a regular file", path);
    else
        status = open_descriptor(out, fd, map, path, max_bytes, err);
    close(fd);
    return status;
}

vt_status vt_mapfile_open_stored(vt_mapfile *out, const char *path, uint64_t max_bytes,
                                 vt_error *err) {
    return open_stored(out, path, true, max_bytes, err);
}

vt_status vt_mapfile_read_stored(vt_mapfile *out, const char *path, uint64_t max_bytes,
                                 vt_error *err) {
    return open_stored(out, path, false, max_bytes, err);
}

void vt_mapfile_release(const vt_mapfile *file, const void *data, size_t size) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + size) / page * page;
    if (file->mapped && begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void vt_mapfile_close(vt_mapfile *file) {
    /* Only the owner of the block may drop its const. */
    void *block = (void *)(uintptr_t)file->data;
    if (file->mapped)
        munmap(block, file->size);
    else
        vt_free(block);
    *file = (vt_mapfile){0};
}
