/*
 * control.h: what the fault layer (inject.c) and who drives it share: a file of this structure,
 * mapped by both. The driver maps it, too, while the program runs.
 *
 * A call counts where it changes or opens a file below the directory, is of a kind in @calls and
 * meets a file of a class in @files. The @nth that counts from the time it is set fails with @error,
 * and the next ones too where @lasting. Set @nth last; 0 takes everything back.
 */
#ifndef SCRIBEFS_TESTS_FAULTS_CONTROL_H
#define SCRIBEFS_TESTS_FAULTS_CONTROL_H

#include <stdint.h>

enum fault_call {
	FAULT_OPEN, /* open, creat, fopen: also to read */
	FAULT_WRITE, /* write, pwrite, writev */
	FAULT_SYNC, /* fsync, fdatasync */
	FAULT_RANGE, /* sync_file_range */
	FAULT_ALLOCATE, /* fallocate */
	FAULT_TRUNCATE, /* ftruncate */
	FAULT_RENAME,
	FAULT_UNLINK,
	FAULT_CALLS,
};

enum fault_file {
	FAULT_LOG, /* db/N.log */
	FAULT_TABLE, /* db/N.sst */
	FAULT_MANIFEST,
	FAULT_ENGINE, /* all others of db/, the directory too */
	FAULT_MARK,
	FAULT_KEYRING,
	FAULT_RESERVE,
	FAULT_STORE, /* all others, the directory too */
	FAULT_FILES,
};

struct fault_control {
	uint32_t calls; /* bits 1 << enum fault_call */
	uint32_t files; /* bits 1 << enum fault_file */
	int32_t error;
	uint32_t lasting;
	uint32_t partial; /* a write that fails first writes half of its bytes */
	uint32_t after; /* it is done in full, and then fails */
	int64_t nth;
	uint64_t fired;
	uint64_t counted[FAULT_CALLS][FAULT_FILES]; /* whatever is asked for */
};

#endif
