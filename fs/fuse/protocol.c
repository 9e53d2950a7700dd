#include "fs/fuse/protocol.h"

#include <linux/fuse.h>
#include <sys/uio.h>

#define ADDED (FUSE_HANDLE_KILLPRIV_V2 | FUSE_PARALLEL_DIROPS)

/*
 * Of the request that this thread has read last. libfuse handles a request in the thread that read it,
 * and reads the next one when the handler has returned.
 */
static _Thread_local bool kills_priv;

bool protocol_kills_priv(void)
{
	return kills_priv;
}

static void look_at_init(struct server *s, const struct fuse_in_header *header,
	const struct fuse_init_in *in)
{
	s->init_flags = in->flags & ADDED;
	atomic_store(&s->init_unique, header->unique);
}

static void look(struct server *s, const void *request, size_t len)
{
	const struct fuse_in_header *header = request;
	const void *body = (const char *)request + sizeof *header;
	kills_priv = false;
	if (len < sizeof *header)
		return;
	size_t size = len - sizeof *header;
	if (header->opcode == FUSE_WRITE && size >= sizeof(struct fuse_write_in))
		kills_priv = ((const struct fuse_write_in *)body)->write_flags &
			     FUSE_WRITE_KILL_SUIDGID;
	else if (header->opcode == FUSE_OPEN && size >= sizeof(struct fuse_open_in))
		kills_priv = ((const struct fuse_open_in *)body)->open_flags & FUSE_OPEN_KILL_SUIDGID;
	else if (header->opcode == FUSE_CREATE && size >= sizeof(struct fuse_create_in))
		kills_priv = ((const struct fuse_create_in *)body)->open_flags &
			     FUSE_OPEN_KILL_SUIDGID;
	else if (header->opcode == FUSE_INIT &&
		 size >= offsetof(struct fuse_init_in, flags) + sizeof(uint32_t))
		look_at_init(s, header, body);
}

static ssize_t device_read(int fd, void *buf, size_t size, void *userdata)
{
	struct server *s = userdata;
	ssize_t n = receive_next(&s->receive, fd, buf, size);
	if (n > 0)
		look(s, buf, (size_t)n);
	return n;
}

static ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct server *s = userdata;
	uint64_t unique = atomic_load(&s->init_unique);
	if (unique != 0 && count == 2 && iov[0].iov_len == sizeof(struct fuse_out_header)) {
		const struct fuse_out_header *header = iov[0].iov_base;
		struct fuse_init_out *out = iov[1].iov_base;
		if (header->unique == unique && header->error == 0 &&
			iov[1].iov_len >= offsetof(struct fuse_init_out, flags) + sizeof out->flags) {
			out->flags |= s->init_flags;
			atomic_store(&s->init_unique, 0);
		}
	}
	return writev(fd, iov, count);
}

int protocol_install(struct server *s)
{
	static const struct fuse_custom_io io = {.read = device_read, .writev = device_writev};
	return fuse_session_custom_io(s->se, &io, fuse_session_fd(s->se));
}
