/*
 * RocksDB's CRC-32C, done with the processor's instruction. Packages of RocksDB are built for any processor of
 * their kind and compute it by tables: 1 GB/s, which was a seventh of what a large file took to write.
 *
 * RocksDB has no hook there, so its function is ours: the definition in a program comes before a library's. A
 * RocksDB that names it otherwise goes on with its own. Where there is no such instruction RocksDB's own, if it can
 * be found, is the better one.
 */
#include "kv/engine/crc.h"
#include "kv/engine/rocks_internal.h"

#include <dlfcn.h>

#define EXTEND "_ZN7rocksdb6crc32c6ExtendEjPKcm"

typedef uint32_t (*extend_call)(uint32_t crc, const char *bytes, size_t len);

static extend_call next_call(void)
{
	static _Atomic(extend_call) next;
	extend_call call = atomic_load_explicit(&next, memory_order_relaxed);

	if (!call) {
		*(void **)&call = dlsym(RTLD_NEXT, EXTEND);
		atomic_store(&next, call);
	}
	return call;
}

__attribute__((visibility("default"))) uint32_t rocks_crc_extend(uint32_t crc, const char *bytes, size_t len)
	__asm__(EXTEND);

uint32_t rocks_crc_extend(uint32_t crc, const char *bytes, size_t len)
{
	extend_call next = crc_is_fast() ? NULL : next_call();

	return next ? next(crc, bytes, len) : crc_extend(crc, bytes, len);
}

uint32_t rocks_crc(const void *bytes, size_t len)
{
	uint32_t c = rocks_crc_extend(0, bytes, len);

	return (c >> 15 | c << 17) + 0xa282ead8u;
}
