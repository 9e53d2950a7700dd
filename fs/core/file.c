/*
 * file.c: open files: reading and writing through the buffers.
 *
 * A write changes memory only, under the inode's lock; commit.c stores it later, or the write
 * itself does when too much is buffered. A chunk that is overwritten in part is read first, so that
 * a buffered chunk is always whole.
 */
#include "fs/core/ahead.h"
#include "fs/core/chunk.h"
#include "fs/core/past.h"
#include "fs/core/xattr.h"

#include <fcntl.h>

#define DIRTY_INODE_MAX (1u << 20) /* buffered bytes of one file that make its writer commit */

static bool may_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

static int open_check(const struct inode *inode, int flags)
{
	if (S_ISDIR(inode->rec.mode))
		return may_write(flags) ? -EISDIR : -EINVAL;
	if (!S_ISREG(inode->rec.mode))
		return S_ISLNK(inode->rec.mode) ? -ELOOP : -ENXIO;
	if ((inode->core->options.read_only || inode->at) && (may_write(flags) || flags & O_TRUNC))
		return -EROFS;
	return 0; /* unlinked since the kernel's look-up: it is there as long as the kernel knows it */
}

int core_file_open(struct core *core, const struct cred *who, uint64_t ino, int flags,
	struct file **ret_file)
{
	struct file *file = calloc(1, sizeof *file);
	int r;

	if (!file)
		return -ENOMEM;
	file->flags = flags;
	r = inode_get(core, ino, NULL, &file->inode);
	if (r < 0) {
		free(file);
		return r;
	}
	pthread_rwlock_wrlock(&file->inode->lock);
	r = open_check(file->inode, flags);
	if (r == 0) {
		file->inode->data.opens++;
		file->inode->data.writers += may_write(flags);
	}
	pthread_rwlock_unlock(&file->inode->lock);
	if (r < 0) {
		inode_put(file->inode);
		free(file);
		return r;
	}
	if (flags & O_TRUNC) {
		struct stat st = {.st_size = 0};
		r = core_setattr(core, who, ino, &st, CORE_SET_SIZE, &st);
		if (r < 0) {
			core_file_release(core, file);
			return r;
		}
	}
	*ret_file = file;
	return 0;
}

int core_file_release(struct core *core, struct file *file)
{
	struct inode *inode = file->inode;
	uint64_t ino = inode->ino;
	bool last, unlinked, commit;
	int r = 0;

	pthread_rwlock_wrlock(&inode->lock);
	inode->data.opens--;
	inode->data.writers -= may_write(file->flags);
	last = inode->data.opens == 0;
	unlinked = inode->rec.nlink == 0;
	commit = inode->data.content && may_write(file->flags) && !(last && unlinked);
	pthread_rwlock_unlock(&inode->lock);
	if (commit)
		r = commit_inode(core, inode, !last);
	ahead_end(file);
	inode_put(inode);
	free(file);
	if (last && unlinked)
		inode_forgotten(core, ino);
	return r;
}

struct inode *file_inode(struct file *file)
{
	return file->inode;
}

uint64_t file_ino(const struct file *file)
{
	return file->inode->ino;
}

bool file_may_write(const struct file *file)
{
	return may_write(file->flags);
}

ssize_t core_read(struct core *core, struct file *file, void *data, size_t size, off_t offset)
{
	struct inode *inode = file->inode;
	uint64_t at;
	ssize_t n;

	if (offset < 0)
		return -EINVAL;
	if (inode->at && past_open(core, inode->ino, &at) < 0)
		return -ESTALE; /* dropped since it was opened */
	ahead_wait(file, (uint64_t)offset);
	pthread_rwlock_rdlock(&inode->lock);
	n = (ssize_t)ahead_take(file, data, size, (uint64_t)offset);
	if (n == 0)
		n = data_read(inode, data, size, (uint64_t)offset);
	pthread_rwlock_unlock(&inode->lock);
	if (n > 0)
		ahead_note(core, file, (uint64_t)offset, (size_t)n);
	if (n > 0 && !(file->flags & O_NOATIME))
		inode_accessed(inode);
	return n;
}

/* ---- writing --------------------------------------------------------------------------------- */

int data_add_dirty(struct inode *inode, const struct dirty_chunk *chunk)
{
	size_t bytes = CHUNK_BYTES(&inode->rec.map);
	int r = dirty_add(&inode->data.dirty, chunk, NULL);

	if (r < 0) {
		free(chunk->bytes);
		return r;
	}
	inode->data.dirty_bytes += bytes;
	atomic_fetch_add(&inode->core->dirty_bytes, bytes);
	return 0;
}

/* A buffered write does not fit inline any more. */
static int become_mapped(struct inode *inode)
{
	struct map_root map = inode->rec.map;
	struct buf *bytes = &inode->inline_data;
	struct dirty_chunk chunk;
	int r;

	if (!map.chunk_shift)
		map.chunk_shift = CHUNK_SHIFT;
	if (bytes->len) {
		r = chunk_new(inode, &map, 0, &(struct map_entry){.type = MAP_HOLE}, false, &chunk);
		if (r < 0)
			return r;
		memcpy(chunk.bytes, bytes->data, bytes->len);
		chunk.length = (uint32_t)bytes->len;
		inode->rec.map = map;
		r = data_add_dirty(inode, &chunk);
		if (r < 0)
			return r;
	}
	inode->rec.map = map;
	inode->rec.body = INODE_MAPPED;
	buf_release(bytes);
	return 0;
}

/* The content changed: times, and the inode is dirty. */
static void touch(struct inode *inode)
{
	struct irec *rec = &inode->rec;

	clock_gettime(CLOCK_REALTIME, &rec->mtime);
	rec->ctime = rec->mtime;
	rec->flags &= (uint8_t)~INODE_MTIME_SET;
	inode->untaken = true;
	atomic_fetch_add(&inode->container->touched, 1);
	if (rec->role)
		container_stamp(inode->container);
	inode->data.content = true;
	data_mark_dirty(inode);
}

static int write_inline(struct inode *inode, const void *data, size_t size, uint64_t offset)
{
	struct buf *b = &inode->inline_data;
	int r = offset + size > b->len ? buf_resize(b, offset + size) : 0;

	if (r < 0)
		return r;
	memcpy(b->data + offset, data, size);
	inode->rec.body = INODE_INLINE;
	inode->rec.size = b->len;
	return 0;
}

/* A chunk that is written from @from up to @end (within it) is put into memory. */
static int prepare_chunk(struct inode *inode, uint64_t index, uint32_t from, uint32_t end)
{
	struct dirty_chunk chunk;
	struct map_entry entry;
	uint64_t covered;
	int r;

	if (dirty_find(&inode->data.dirty, index))
		return 0;
	r = chunk_room(inode);
	if (r == 0)
		r = map_find(inode, &inode->rec.map, index, &entry, &covered);
	if (r == 0)
		r = chunk_new(inode, &inode->rec.map, index, &entry,
			from > 0 || end < entry.length, &chunk);
	return r < 0 ? r : data_add_dirty(inode, &chunk);
}

/*
 * A write failed before it copied anything: chunks that were not loaded must not hide the stored
 * ones.
 */
static void drop_empty(struct inode *inode, uint64_t first, uint64_t end)
{
	size_t bytes = CHUNK_BYTES(&inode->rec.map);

	for (uint64_t i = first; i < end; i++) {
		const struct dirty_chunk *chunk = dirty_find(&inode->data.dirty, i);
		if (!chunk || chunk->length)
			continue;
		dirty_remove(&inode->data.dirty, i, i + 1);
		inode->data.dirty_bytes -= bytes;
		atomic_fetch_sub(&inode->core->dirty_bytes, bytes);
	}
}

static int write_mapped(struct inode *inode, const void *data, size_t size, uint64_t offset)
{
	int r = tail_append(inode, data, size, offset);
	uint8_t shift;
	uint32_t bytes;
	uint64_t first, last;

	if (r != 0)
		return r < 0 ? r : 0;
	r = tail_fold(inode);
	if (r == 0)
		r = chunk_split(inode, data, size, offset + size);
	if (r < 0)
		return r;
	shift = inode->rec.map.chunk_shift;
	bytes = CHUNK_BYTES(&inode->rec.map);
	first = offset >> shift;
	last = (offset + size - 1) >> shift;
	for (uint64_t i = first; i <= last; i++) {
		uint32_t from = i == first ? (uint32_t)(offset & (bytes - 1)) : 0;
		uint32_t end = i < last ? bytes : (uint32_t)((offset + size - 1) & (bytes - 1)) + 1;
		r = prepare_chunk(inode, i, from, end);
		if (r < 0) {
			drop_empty(inode, first, i);
			return r;
		}
	}
	for (size_t at = 0, n; at < size; at += n) {
		struct dirty_chunk *chunk = dirty_find(&inode->data.dirty, (offset + at) >> shift);
		uint32_t from = (uint32_t)((offset + at) & (bytes - 1));

		n = size - at < bytes - from ? size - at : bytes - from;
		memcpy(chunk->bytes + from, (const uint8_t *)data + at, n);
		if (chunk->length < from + n)
			chunk->length = from + (uint32_t)n;
	}
	if (inode->rec.size < offset + size)
		inode->rec.size = offset + size;
	return 0;
}

static int write_locked(struct inode *inode, const void *data, size_t size, uint64_t offset,
	unsigned kill)
{
	int r = 0;

	if (inode->rec.body != INODE_MAPPED && offset + size <= INODE_INLINE_MAX) {
		r = write_inline(inode, data, size, offset);
	} else {
		if (inode->rec.body != INODE_MAPPED)
			r = become_mapped(inode);
		if (r == 0)
			r = write_mapped(inode, data, size, offset);
		/* Chunks may be in memory even so: the inode counts as dirty then. */
		if (r < 0 && inode->data.dirty.count) {
			inode->data.content = true;
			data_mark_dirty(inode);
		}
	}
	if (r < 0)
		return r;
	irec_kill_set_id(&inode->rec, kill);
	touch(inode);
	return 0;
}

/* The bytes change, so file capabilities go; they are records of their own. */
static int kill_capability(struct core *core, struct inode *inode)
{
	const struct cred daemon = {0};
	bool any;

	pthread_rwlock_rdlock(&inode->lock);
	any = inode->rec.flags & INODE_CAPABILITY;
	pthread_rwlock_unlock(&inode->lock);
	if (!any)
		return 0;
	int r = core_removexattr(core, &daemon, inode->ino, XATTR_NAME_CAPABILITY);
	return r == -ENODATA ? 0 : r;
}

/* Commits where too much is buffered, in this file or in all. */
static int relieve(struct core *core, struct inode *inode)
{
	bool full;

	pthread_rwlock_rdlock(&inode->lock);
	full = inode->data.dirty_bytes > 0 &&
	       (inode->data.dirty_bytes >= DIRTY_INODE_MAX ||
		       core->dirty_bytes > core->options.dirty_bytes);
	pthread_rwlock_unlock(&inode->lock);
	return full ? commit_inode(core, inode, false) : 0;
}

ssize_t core_write(struct core *core, struct file *file, const void *data, size_t size,
	off_t offset, unsigned kill)
{
	struct inode *inode = file->inode;
	uint64_t at;
	int r;

	if (!may_write(file->flags))
		return -EBADF;
	if (offset < 0)
		return -EINVAL;
	if (size == 0)
		return 0;
	/* Still full: the last commit failed, and this one has to succeed before more is taken. */
	r = relieve(core, inode);
	if (r == 0)
		r = kill_capability(core, inode);
	if (r < 0)
		return r;
	gate_enter(&core->gate);
	pthread_rwlock_wrlock(&inode->lock);
	r = inode->data.error;
	inode->data.error = 0;
	at = file->flags & O_APPEND ? inode->rec.size : (uint64_t)offset;
	if (r == 0 && at >= CORE_FILE_MAX)
		r = -EFBIG;
	if (r == 0 && size > CORE_FILE_MAX - at)
		size = CORE_FILE_MAX - at;
	if (r == 0)
		r = write_locked(inode, data, size, at, kill);
	pthread_rwlock_unlock(&inode->lock);
	gate_leave(&core->gate);
	if (r < 0)
		return r;
	r = relieve(core, inode);
	/* The bytes are taken, and who is told otherwise might append them twice: the next write or the close fails. */
	return r < 0 && r != -ENOSPC ? r : (ssize_t)size;
}

int core_file_sync(struct core *core, struct file *file)
{
	return commit_or_tell(core, file->inode);
}

int core_file_flush(struct core *core, struct file *file)
{
	return may_write(file->flags) ? core_file_sync(core, file) : 0;
}
