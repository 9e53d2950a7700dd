/*
 * ahead.h: reading ahead of who reads a large file from its front: threads open the next windows of it while the
 * workers answer, for the kernel asks for 128 KiB at a time. Only fs/core's file.c and core.c use it.
 *
 * What was read ahead counts only while the file is as it was then: nothing is buffered, and the root of its map,
 * whose version each commit of data raises, is the same. So nobody who changes a file knows of this.
 *
 * Locks: a stream's is taken inside the inode's, and nothing inside of it but the reader's.
 */
#ifndef SCRIBEFS_FS_CORE_AHEAD_H
#define SCRIBEFS_FS_CORE_AHEAD_H

#include "fs/core/core_internal.h"

#define AHEAD_WINDOW ((uint64_t)256 << 10)
#define AHEAD_WINDOWS 4 /* of one stream: the one that is being read and three more */
#define AHEAD_STREAMS 16 /* in all, or 16 MiB */
#define AHEAD_THREADS 2 /* one alone waits for the disk, opens what came, and waits again */
#define AHEAD_AFTER 4 /* reads in a row that make a stream */
#define AHEAD_READ_MIN (32u << 10) /* what is smaller counts for nothing */

/* The thread starts with the first stream. -ENOMEM. */
int reader_init(struct core *core);
/* No file is open any more, or none is read. */
void reader_stop(struct core *core);

/* Waits for the window of this read if it is on its way. No locks held. */
void ahead_wait(struct file *file, uint64_t offset);
/* The answer, if the whole of it was read ahead; else 0. inode->lock is held. */
size_t ahead_take(struct file *file, void *data, size_t size, uint64_t offset);
/* So much was read: has the next windows read. No locks held. */
void ahead_note(struct core *core, struct file *file, uint64_t offset, size_t n);
/* The file is being closed. */
void ahead_end(struct file *file);

#endif
