/*
 * ioctl.h: what the tools ask a mount that is served, by ioctl(2). Used by tools and fs/fuse; it
 * includes neither libfuse nor a layer of ours.
 *
 * FUSE passes a structure of less than 16 KiB both ways, as the number says. The layouts are the same
 * for 32 and 64 bits. A filesystem that is not ours answers ENOTTY.
 */
#ifndef SCRIBEFS_FS_FUSE_IOCTL_H
#define SCRIBEFS_FS_FUSE_IOCTL_H

#include <linux/ioctl.h>
#include <stdint.h>

#define SCRIBEFS_TITLE_BYTES 1024

/*
 * On a workflow's directory, by somebody who may write there: makes the next session. EACCES, EROFS,
 * ENOTDIR or EINVAL (not a workflow), as mkdir(2).
 */
struct scribefs_new {
	char title[SCRIBEFS_TITLE_BYTES]; /* NUL-terminated; empty: none */
	char name[32];			  /* out: the name of its directory */
	uint64_t ino;			  /* out */
};
#define SCRIBEFS_IOC_NEW _IOWR('S', 1, struct scribefs_new)

/* Bits of scribefs_status.flags. */
#define SCRIBEFS_READ_ONLY 1u
#define SCRIBEFS_DAMAGED 2u   /* the log ended before the last synced commit: read-only */
#define SCRIBEFS_UNCLEAN 4u   /* the daemon before this one died */
#define SCRIBEFS_MARK_LOST 8u /* the mark of the last synced commit was no good */
#define SCRIBEFS_DISK_FULL 16u	/* now: only what makes room is written */
#define SCRIBEFS_DISK_FAILED 32u /* now: nothing is written, reading goes on */

/* On anything in the mount, by anybody who may open it. */
struct scribefs_status {
	uint32_t flags;
	uint32_t pid;		/* of the daemon */
	uint8_t store_id[16];
	char cipher[32];	/* NUL-terminated */
	char version[32];	/* of the program; NUL-terminated */
	int64_t started;	/* seconds since 1970 */
	uint64_t sequence;	/* the last commit */
	uint64_t synced;	/* the last commit that survives the loss of power */
	uint64_t inodes;
	uint64_t bytes;		/* as stored, before compression */
	uint64_t containers;	/* sessions, and what else has a key space of its own */
	uint64_t bad_records;	/* requests that met a damaged record since the start */
	uint64_t reserved[8];	/* zero */
};
#define SCRIBEFS_IOC_STATUS _IOR('S', 2, struct scribefs_status)

/* Bits of scribefs_put_back.flags, of which one at most is set. */
#define SCRIBEFS_PUT_FORK 1u	/* the session, which nobody has touched, becomes a fork of the source */
#define SCRIBEFS_PUT_REMOVED 2u /* … becomes the source, whose session was removed */
#define SCRIBEFS_PUT_OTHER 4u	/* the source stood where this one stands, and may have been another */

/*
 * On a directory, by its owner (who owns the source, too) or root: makes it, or the entry @name in it, what a
 * snapshot has, in one step. EBUSY: another one is under way; EXDEV: the source is another session, or a part
 * that only goes with its session; ENOTEMPTY: a flag, and the session is in use; EINVAL, ESTALE: no such source.
 * With SCRIBEFS_PUT_REMOVED and no @source @name is a recovery id, of a session that is no more. ENOENT.
 */
struct scribefs_put_back {
	uint64_t source; /* st_ino of what is put back, below .snapshots/ */
	uint32_t flags;
	uint32_t reserved; /* zero */
	char name[256];	   /* NUL-terminated; empty: the directory itself: a session, workflow, user or users/ */
	char kept[256];	   /* out: the snapshot that has what was there */
};
#define SCRIBEFS_IOC_PUT_BACK _IOWR('S', 8, struct scribefs_put_back)

/*
 * On a directory that is a place of snapshots, in a snapshot or the present, by anybody who may open it: inodes
 * that may differ from what they are in another snapshot of it, with all directories above them. EINVAL.
 */
#define SCRIBEFS_CHANGES 1024
struct scribefs_changes {
	uint64_t other; /* st_ino of the same directory there, or in the present */
	uint64_t after; /* 0, then what came back */
	uint32_t n;	/* out */
	uint8_t more;	/* out: ask again */
	uint8_t many;	/* out: one of these has several names, which may lie anywhere */
	uint8_t reserved[2];
	uint64_t ino[SCRIBEFS_CHANGES]; /* out: st_ino in the present; some may come twice */
};
#define SCRIBEFS_IOC_CHANGES _IOWR('S', 9, struct scribefs_changes)

/* Bits of scribefs_snapshot.flags. */
#define SCRIBEFS_SNAPSHOT_REMOVED 1u /* in and out: of places that are no more */
#define SCRIBEFS_SNAPSHOT_AUTO 2u    /* out: taken by the daemon itself */

/*
 * On users/, a user, a workflow or a session, by somebody who may read it: its next snapshot. With
 * SCRIBEFS_SNAPSHOT_REMOVED, on users/ or a user, by its owner: the next one of a place that was there. ENODATA: there
 * is no further one. EINVAL: can have none. EACCES.
 */
struct scribefs_snapshot {
	uint64_t id;	    /* in: that of the one before, 0 first; out: its own */
	uint32_t flags;
	uint32_t uid;	    /* who took it */
	int64_t taken;	    /* seconds since 1970 */
	uint64_t held;	    /* bytes that would come back if it alone were dropped */
	char name[256];	    /* NUL-terminated, as all below */
	char recovery[40];  /* its recovery id */
	/* Of a removed session, from its session.json; empty otherwise. */
	char user[256], workflow[256], session_id[40], title[256];
};
#define SCRIBEFS_IOC_SNAPSHOT _IOWR('S', 16, struct scribefs_snapshot)

#endif
