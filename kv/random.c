#include "kv/random.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

/* What the vDSO says of a state when it is asked with ASK as the state's size. */
struct random_params {
	uint32_t size, prot, flags, reserved[13];
};
#define ASK ((size_t)-1)

typedef ssize_t (*vdso_getrandom)(void *bytes, size_t len, unsigned flags, void *state, size_t state_size);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static vdso_getrandom draw;
static struct random_params params;

static void find(void)
{
	void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
	/* As POSIX has it for dlsym(): a pointer to a function in one to an object. */
	union {
		void *object;
		vdso_getrandom function;
	} symbol = {.object = vdso ? dlvsym(vdso, "__vdso_getrandom", "LINUX_2.6") : NULL};

	if (symbol.object && symbol.function(NULL, 0, 0, &params, ASK) == 0 && params.size)
		draw = symbol.function;
}

void *random_new(void)
{
	void *state;

	pthread_once(&once, find);
	if (!draw)
		return NULL;
	state = mmap(NULL, params.size, (int)params.prot, (int)params.flags, -1, 0);
	return state == MAP_FAILED ? NULL : state;
}

void random_free(void *state)
{
	if (state)
		munmap(state, params.size);
}

void random_bytes(void *state, void *ret_bytes, size_t len)
{
	if (!state || draw(ret_bytes, len, 0, state, params.size) != (ssize_t)len)
		randombytes_buf(ret_bytes, len);
}
