/* Owns temporary files: their names, and contents that arrive in parts. */
#include "config.h"
#include "apply_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COPY_BLOCK (256 * 1024)
#define WRITEBACK_STEP (8 * 1024 * 1024) /* so much is handed to the disk while more arrives */

struct tmp {
	struct root *root;
	struct digest *digest;
	uint64_t number;
	uint64_t size;
	uint64_t flushed;
	int fd;
	int error; /* the first one; it stays */
};

void tmp_name(char name[TMP_NAME_SIZE], char letter, uint64_t number)
{
	snprintf(name, TMP_NAME_SIZE, "%c%llu", letter, (unsigned long long)number);
}

int tmp_open(struct root *root, struct tmp **out)
{
	char name[TMP_NAME_SIZE];
	*out = NULL;
	if (root_tmp_fd(root) < 0)
		return -EROFS;
	uint64_t number = root_next(root);
	tmp_name(name, 't', number);
	int fd = openat(root_tmp_fd(root), name,
		O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	struct tmp *tmp = xcalloc(1, sizeof(*tmp));
	tmp->root = root;
	tmp->number = number;
	tmp->fd = fd;
	tmp->digest = digest_new();
	digest_begin(tmp->digest);
	*out = tmp;
	return 0;
}

uint64_t tmp_number(const struct tmp *tmp)
{
	return tmp->number;
}

uint64_t tmp_size(const struct tmp *tmp)
{
	return tmp->size;
}

int tmp_write(struct tmp *tmp, const void *p, size_t len)
{
	if (!tmp->error)
		tmp->error = write_full(tmp->fd, p, len);
	if (tmp->error)
		return tmp->error;
	digest_add(tmp->digest, p, len);
	tmp->size += len;
	if (tmp->size - tmp->flushed >= WRITEBACK_STEP) {
		/* only begins; the sync that counts comes with the operation */
		(void)sync_file_range(tmp->fd, (off_t)tmp->flushed, (off_t)(tmp->size - tmp->flushed),
			SYNC_FILE_RANGE_WRITE);
		tmp->flushed = tmp->size;
	}
	return 0;
}

static int copy_range(struct tmp *tmp, int fd, uint64_t stamp, uint64_t offset, uint64_t len)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	struct found found = found_from_stat(&st);
	if (found.kind != KIND_FILE || found.stamp != stamp)
		return -ESTALE;
	if (offset > found.size || len > found.size - offset)
		return -EINVAL;
	uint8_t *block = xmalloc(COPY_BLOCK);
	int err = 0;
	while (len && !err) {
		ssize_t n = pread(fd, block, len < COPY_BLOCK ? (size_t)len : COPY_BLOCK, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		err = n < 0 ? -errno : n == 0 ? -ESTALE : tmp_write(tmp, block, (size_t)n);
		if (!err) {
			offset += (uint64_t)n;
			len -= (uint64_t)n;
		}
	}
	if (!err && (fstat(fd, &st) < 0 || found_from_stat(&st).stamp != stamp))
		err = -ESTALE;
	free(block);
	return err;
}

int tmp_write_from(struct tmp *tmp, struct bytes path, uint64_t stamp, uint64_t offset, uint64_t len)
{
	struct walk walk;
	char name[PATH_COMPONENT_MAX + 1];
	if (tmp->error)
		return tmp->error;
	walk_init(&walk, tmp->root);
	int parent = walk_parent(&walk, path, name);
	int fd = parent < 0 ? -1 : openat(parent, name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	int err = parent < 0 ? parent : fd < 0 ? -errno : 0;
	if (err == -ENOENT || err == -ENOTDIR || err == -ELOOP || err == -ENXIO)
		err = -ESTALE;
	if (!err)
		err = copy_range(tmp, fd, stamp, offset, len);
	if (fd >= 0)
		close(fd);
	walk_release(&walk);
	tmp->error = err; /* some bytes may be in already */
	return err;
}

static int tmp_end(struct tmp *tmp, int err)
{
	if (close(tmp->fd) < 0 && !err)
		err = -errno;
	if (err)
		(void)tmp_remove(tmp->root, tmp->number);
	digest_free(tmp->digest);
	free(tmp);
	return err;
}

int tmp_finish(struct tmp *tmp, const uint8_t hash[HASH_SIZE], uint64_t size)
{
	uint8_t got[HASH_SIZE];
	int err = tmp->error;
	digest_end(tmp->digest, got);
	if (!err && (tmp->size != size || memcmp(got, hash, HASH_SIZE) != 0))
		err = -EBADMSG;
	return tmp_end(tmp, err);
}

void tmp_discard(struct tmp *tmp)
{
	if (tmp)
		(void)tmp_end(tmp, -ECANCELED);
}

int tmp_remove(struct root *root, uint64_t number)
{
	char name[TMP_NAME_SIZE];
	tmp_name(name, 't', number);
	return unlinkat(root_tmp_fd(root), name, 0) < 0 ? -errno : 0;
}
