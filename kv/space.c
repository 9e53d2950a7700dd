#include "kv/kv_internal.h"

#include <sys/statvfs.h>

#define RESERVE_BYTES_DEFAULT (64u << 20)

int kv_space_refresh(struct kv *kv)
{
	struct statvfs st;

	if (statvfs(kv->path, &st) < 0)
		return -errno;
	atomic_store(&kv->space.total, (uint64_t)st.f_blocks * st.f_frsize);
	atomic_store(&kv->space.free, (uint64_t)st.f_bavail * st.f_frsize);
	atomic_store(&kv->space.written, 0);
	return 0;
}

void kv_space_note(struct kv *kv, size_t bytes)
{
	atomic_fetch_add(&kv->space.written, 2 * (uint64_t)bytes);
}

static uint64_t available(struct kv *kv)
{
	uint64_t reserve =
		kv->options.reserve_bytes ? kv->options.reserve_bytes : RESERVE_BYTES_DEFAULT;
	uint64_t taken = atomic_load(&kv->space.written), left = atomic_load(&kv->space.free);

	left = left > taken ? left - taken : 0;
	return left > reserve ? left - reserve : 0;
}

int kv_space_check(struct kv *kv)
{
	return available(kv) ? 0 : -ENOSPC;
}

int kv_space(struct kv *kv, struct kv_space *ret_space)
{
	if (kv->state.read_only) {
		int r = kv_space_refresh(kv);
		if (r < 0)
			return r;
	}
	ret_space->total = atomic_load(&kv->space.total);
	ret_space->available = available(kv);
	return 0;
}
