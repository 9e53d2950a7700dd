/*
 * load.h: what is written to a store while it fails, and a model that knows what must be there: what
 * a commit returned 0 for is there, what it returned an error for is not.
 */
#ifndef SCRIBEFS_TESTS_FAULTS_LOAD_H
#define SCRIBEFS_TESTS_FAULTS_LOAD_H

#include "kv/kv.h"

#define LOAD_KEYS 200

struct load {
	struct kv *kv;
	uint32_t domain;
	uint32_t dice;
	uint32_t meta[LOAD_KEYS]; /* the seed of the value that stands there; 0: none */
	uint32_t data[LOAD_KEYS];
	uint32_t next_data;
	int allowed; /* the errno of the fault; 0: none may be seen */
	unsigned refused; /* commits and syncs that failed */
};

/*
 * One transaction of a few puts, inserts and deletes; now and then a sync. 0, or the -errno of a
 * commit or sync, which has been counted.
 */
int load_step(struct load *l);
/* Compares all of the store with the model and checks its sum. 0, or how many records differ. */
unsigned load_compare(const struct load *l);
/* Some records, as readers do: 0, or how many could not be read or differ. */
unsigned load_look(const struct load *l, uint32_t *dice);

#endif
