/*
 * watch.c: what automatic snapshots are told, and what they ask: which changes no snapshot has.
 */
#include "fs/core/pins.h"

void core_set_watch(struct core *core, const struct core_watch *watch, void *arg)
{
	MUTEX_GUARD(&core->tell_lock);
	core->watch = watch;
	core->watch_arg = arg;
}

void watch_changed(struct core *core, struct container *c, uint64_t epoch)
{
	if (atomic_load_explicit(&c->told, memory_order_relaxed) > epoch)
		return;
	MUTEX_GUARD(&core->tell_lock);
	if (!core->watch)
		return;
	atomic_store_explicit(&c->told, epoch + 1, memory_order_relaxed);
	core->watch->changed(core->watch_arg, c, epoch);
}

void watch_full(struct core *core)
{
	MUTEX_GUARD(&core->tell_lock);
	if (core->watch)
		core->watch->full(core->watch_arg);
}

int inode_is_held(struct inode *inode, bool *ret_held)
{
	const struct container *c = inode->container;
	uint64_t pin;
	int r = inode->at ? 0 : pins_newest(inode->core, c->domain, c->id, &pin);

	if (r == 0)
		*ret_held = inode->at || (!inode->data.content && inode->rec.epoch < pin);
	return r;
}

int container_is_held(struct core *core, uint32_t domain, uint32_t id, const bool *stop, bool *ret_held)
{
	struct key prefix = key_make(domain, id, KEY_INODE, 0);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	uint64_t pin;
	int r = pins_newest(core, domain, id, &pin);

	if (r == 0)
		r = kv_iter_open(core->kv, NULL, NULL, KV_META, prefix.bytes, 9, &it);
	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED))
			return -ECANCELED;
		if (kv_iter_value(it, &value) < 0 || value.len < IREC_EPOCH_AT + 8)
			continue; /* damaged: no reason for a snapshot */
		if (get_be64(value.data + IREC_EPOCH_AT) >= pin) {
			*ret_held = false;
			return 0;
		}
	}
	if (r == 0)
		*ret_held = true;
	return r;
}
