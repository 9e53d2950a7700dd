#include "tests/power/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <string.h>

int journal_append(int fd, struct journal_head head, const char *path, const void *rest, size_t rest_len)
{
	struct iovec parts[3];
	struct timespec now;
	ssize_t n;

	clock_gettime(CLOCK_MONOTONIC, &now);
	head.path_len = path ? (uint16_t)strlen(path) : 0;
	head.bytes = (uint32_t)(sizeof head + head.path_len + rest_len);
	head.time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	parts[0] = (struct iovec){&head, sizeof head};
	parts[1] = (struct iovec){(void *)(uintptr_t)path, head.path_len};
	parts[2] = (struct iovec){(void *)(uintptr_t)rest, rest_len};
	n = writev(fd, parts, 3);
	if (n < 0)
		return -errno;
	return (size_t)n == head.bytes ? 0 : -ENOSPC;
}

int journal_open(const char *path, struct journal *ret_journal)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data = NULL;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (!data || data == MAP_FAILED)
		return -EIO;
	*ret_journal = (struct journal){.data = data, .size = (size_t)st.st_size};
	return 0;
}

void journal_close(struct journal *journal)
{
	munmap((void *)(uintptr_t)journal->data, journal->size);
}

/* The records are not aligned: the head is copied out of the way. */
int journal_next(struct journal *journal, struct journal_record *ret_record)
{
	static _Thread_local struct journal_head head;
	const uint8_t *p = journal->data + journal->at;

	if (journal->size - journal->at < sizeof head)
		return 0;
	memcpy(&head, p, sizeof head);
	if (head.bytes < sizeof head + head.path_len || journal->size - journal->at < head.bytes)
		return 0;
	journal->at += head.bytes;
	ret_record->head = &head;
	ret_record->path = (const char *)p + sizeof head;
	ret_record->rest = ret_record->path + head.path_len;
	ret_record->rest_len = head.bytes - sizeof head - head.path_len;
	return 1;
}
