/*
 * Requests of our own tools (ioctl.h).
 */
#include "fs/fuse/ioctl.h"
#include "fs/fuse/reply.h"

#include <stdio.h>
#include <unistd.h>

#ifndef SCRIBEFS_VERSION
#define SCRIBEFS_VERSION "0"
#endif

static void status(fuse_req_t req)
{
	struct server *s = server_of(req);
	struct kv_state state;
	kv_get_state(s->kv, &state);
	struct scribefs_status out = {
		.pid = (uint32_t)getpid(),
		.started = s->started,
		.sequence = kv_sequence(s->kv),
		.synced = kv_synced(s->kv),
		.inodes = (uint64_t)kv_counter_total(s->kv, KV_COUNT_INODES),
		.bytes = (uint64_t)kv_counter_total(s->kv, KV_COUNT_BYTES),
		.containers = (uint64_t)kv_counter_total(s->kv, KV_COUNT_CONTAINERS),
		.bad_records = atomic_load(&s->bad_records),
	};
	if (s->read_only)
		out.flags |= SCRIBEFS_READ_ONLY;
	if (state.damaged)
		out.flags |= SCRIBEFS_DAMAGED;
	if (state.unclean)
		out.flags |= SCRIBEFS_UNCLEAN;
	if (state.mark_lost)
		out.flags |= SCRIBEFS_MARK_LOST;
	enum kv_disk disk = s->read_only ? KV_DISK_WELL : kv_disk(s->kv);
	if (disk == KV_DISK_FULL)
		out.flags |= SCRIBEFS_DISK_FULL;
	else if (disk == KV_DISK_FAILED)
		out.flags |= SCRIBEFS_DISK_FAILED;
	memcpy(out.store_id, kv_id(s->kv), sizeof out.store_id);
	snprintf(out.cipher, sizeof out.cipher, "%s", kv_cipher_name(s->kv));
	snprintf(out.version, sizeof out.version, "%s", SCRIBEFS_VERSION);
	fuse_reply_ioctl(req, 0, &out, sizeof out);
}

static void new_session(fuse_req_t req, uint64_t workflow, struct scribefs_new asked)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct core_entry entry;
	int r = 0;
	if (views_owns(workflow))
		r = -EPERM;
	else if (s->read_only)
		r = -EROFS;
	else if (memchr(asked.title, '\0', sizeof asked.title) == NULL)
		r = -EINVAL;
	else
		r = access_may_create(req, &who, workflow);
	if (r == 0)
		r = session_new(s->sessions, &who, workflow, asked.title[0] ? asked.title : NULL,
			asked.name, &entry);
	if (r < 0) {
		reply_error(req, workflow, r);
		return;
	}
	asked.ino = entry.ino;
	fuse_reply_ioctl(req, 0, &asked, sizeof asked);
	/* The kernel has not seen the entry: its own look-up will count. */
	core_forget(s->core, entry.ino, 1);
}

void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
	unsigned flags, const void *in, size_t in_size, size_t out_size)
{
	struct scribefs_new asked;
	struct scribefs_snapshot after;
	if (flags & FUSE_IOCTL_UNRESTRICTED) {
		reply_error(req, ino, -ENOTTY);
	} else if (cmd == SCRIBEFS_IOC_STATUS && out_size >= sizeof(struct scribefs_status)) {
		status(req);
	} else if (cmd == SCRIBEFS_IOC_PUT_BACK && in_size >= sizeof(struct scribefs_put_back) &&
		   out_size >= sizeof(struct scribefs_put_back)) {
		ops_put_back(req, ino, in);
	} else if (cmd == SCRIBEFS_IOC_CHANGES && in_size >= sizeof(struct scribefs_changes) &&
		   out_size >= sizeof(struct scribefs_changes)) {
		ops_changes(req, ino, in);
	} else if (cmd == SCRIBEFS_IOC_NEW && in_size >= sizeof asked && out_size >= sizeof asked) {
		if (!(flags & FUSE_IOCTL_DIR)) {
			reply_error(req, ino, -ENOTDIR);
			return;
		}
		memcpy(&asked, in, sizeof asked);
		memset(asked.name, 0, sizeof asked.name);
		new_session(req, ino, asked);
	} else if (cmd == SCRIBEFS_IOC_SNAPSHOT && in_size >= sizeof after && out_size >= sizeof after) {
		memcpy(&after, in, sizeof after);
		ops_next_snapshot(req, ino, &after);
	} else {
		reply_error(req, ino, -ENOTTY);
	}
}
