/*
 * draw.h: the next random step. It looks at the model, so that most steps meet something; what it draws follows
 * from the seed alone as long as the target behaves.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_DRAW_H
#define SCRIBEFS_TESTS_EXERCISE_DRAW_H

#include "tests/exercise/run.h"

struct draw {
	uint64_t state;
	unsigned restarts; /* one reopen or kill in so many steps, 0 none */
};

void draw_init(struct draw *draw, uint64_t seed);
/* 0 … @n - 1 */
unsigned draw_below(struct draw *draw, unsigned n);
void draw_step(struct draw *draw, struct run *run, struct step *ret_step);

#endif
