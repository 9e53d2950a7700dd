#include "fs/session/memory.h"

struct session_memory *memory_of(struct container *c)
{
	if (!c->session)
		c->session = calloc(1, sizeof(struct session_memory));
	return c->session;
}

void memory_stale(struct container *c)
{
	struct session_memory *m = c->session;
	container_stamp(c);
	if (m)
		m->fresh = false;
}
