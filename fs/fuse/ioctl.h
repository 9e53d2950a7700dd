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

#endif
