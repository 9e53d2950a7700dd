/*
 * disk.h: what may be on a disk after the power was cut at some record of a journal.
 *
 * Names. Making, linking, renaming and deleting are durable
 *   in the model `ext4`   after any fsync, and else a prefix of them, in order, survives;
 *   in the model `loose`  after an fsync of their directory, or, where they gave a file its name, of
 *                         that file; of the others any survive, each on its own;
 *   in the model `posix`  after an fsync of their directory alone.
 * Data. What an fsync of the file has seen is there. Of what was changed since, each sector of 512
 * bytes holds the state after some number of these changes: none, all, or any between, runs of pages
 * alike and now and then torn within a page. The size is that after some number of them, too. What
 * lies within the size and never reached the disk is zeros, or, with `garbage`, anything.
 * How much of it survives is `none`, `all` (the death of the machine's programs alone), `prefix` (all
 * up to some moment, and nothing after it) or `random`.
 *
 * All of it follows from the journal, the place of the cut, and the seed.
 */
#ifndef SCRIBEFS_TESTS_POWER_DISK_H
#define SCRIBEFS_TESTS_POWER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_names { DISK_EXT4, DISK_LOOSE, DISK_POSIX, DISK_NAMES };
enum disk_rest { DISK_NONE, DISK_ALL, DISK_PREFIX, DISK_RANDOM };

struct disk_cut {
	uint64_t records; /* the journal's first ones have happened */
	uint64_t seed;
	enum disk_names names;
	enum disk_rest rest;
	bool garbage;
};

/* Draws the model from the seed. */
struct disk_cut disk_cut_drawn(uint64_t records, uint64_t seed);
/* Writes what is left to the new folder @out; @base is what was there before the journal. 0 or -errno. */
int disk_survive(const char *journal, const char *base, const struct disk_cut *cut, const char *out);

#endif
