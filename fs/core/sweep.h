/*
 * sweep.h: freeing what no snapshot needs any more. Only for fs/core.
 */
#ifndef SCRIBEFS_FS_CORE_SWEEP_H
#define SCRIBEFS_FS_CORE_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

struct core;

/*
 * For the worker: goes through the history of what a snapshot of the place covered. 1: done, 0: *@stop was set,
 * or -errno. May be interrupted and begun anew at any point.
 */
int sweep_run(struct core *core, uint32_t domain, uint32_t container, bool alone, const bool *stop);
/* Whether there is history under the domain: 1, 0 or -errno. */
int sweep_domain_kept(struct core *core, uint32_t domain);

#endif
