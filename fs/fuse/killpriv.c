#include "fs/fuse/killpriv.h"

#include <linux/fuse.h>
#include <sys/uio.h>

/*
 * Of the request that this thread has read last. libfuse handles a request in the thread that read it,
 * and reads the next one when the handler has returned.
 */
static _Thread_local bool asked;

bool killpriv_asked(void)
{
	return asked;
}

/* The part of a request that lies behind its header, or NULL where it is shorter than @size. */
static const void *body(const void *request, size_t len, size_t size)
{
	return len >= sizeof(struct fuse_in_header) + size
		       ? (const char *)request + sizeof(struct fuse_in_header)
		       : NULL;
}

static void look(struct server *s, const void *request, size_t len)
{
	const struct fuse_in_header *header = request;
	asked = false;
	if (len < sizeof *header)
		return;
	if (header->opcode == FUSE_WRITE) {
		const struct fuse_write_in *in = body(request, len, sizeof *in);
		asked = in && (in->write_flags & FUSE_WRITE_KILL_SUIDGID);
	} else if (header->opcode == FUSE_OPEN) {
		const struct fuse_open_in *in = body(request, len, sizeof *in);
		asked = in && (in->open_flags & FUSE_OPEN_KILL_SUIDGID);
	} else if (header->opcode == FUSE_CREATE) {
		const struct fuse_create_in *in = body(request, len, sizeof *in);
		asked = in && (in->open_flags & FUSE_OPEN_KILL_SUIDGID);
	} else if (header->opcode == FUSE_INIT) {
		const struct fuse_init_in *in = body(request, len,
			offsetof(struct fuse_init_in, flags) + sizeof in->flags);
		if (in && (in->flags & FUSE_HANDLE_KILLPRIV_V2))
			atomic_store(&s->init_unique, header->unique);
	}
}

/* libfuse may cancel the thread in read(): nothing is held here. */
static ssize_t device_read(int fd, void *buf, size_t size, void *userdata)
{
	ssize_t n = read(fd, buf, size);
	if (n > 0)
		look(userdata, buf, (size_t)n);
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
			out->flags |= FUSE_HANDLE_KILLPRIV_V2;
			atomic_store(&s->init_unique, 0);
		}
	}
	return writev(fd, iov, count);
}

int killpriv_install(struct server *s)
{
	static const struct fuse_custom_io io = {.read = device_read, .writev = device_writev};
	return fuse_session_custom_io(s->se, &io, fuse_session_fd(s->se));
}
