/* damage_past.c: damage to the records of snapshots. */
#include "fs/core/key.h"
#include "kv/kv_internal.h"
#include "tests/fsck/damage.h"

/* Drops or flips the @nth record of this kind. */
static int hit(struct kv *kv, enum kv_family family, enum key_kind kind, unsigned nth, bool flip)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf sealed = {0};
	uint8_t key[KV_KEY_MAX];
	struct kv_write w = {.family = family, .key = key};
	int r = kv_iter_open(kv, NULL, NULL, family, NULL, 0, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		const uint8_t *at = kv_iter_key(it, &w.key_len);
		memcpy(key, at, w.key_len);
		if (key[8] == kind && nth-- == 0)
			break;
	}
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = kv->ops->get(kv->engine, NULL, family, key, w.key_len, &sealed);
	if (r < 0)
		return r;
	if (flip) {
		sealed.data[sealed.len / 2] ^= 0x10;
		w.value = sealed.data;
		w.value_len = sealed.len;
	}
	return kv->ops->write(kv->engine, &w, 1);
}

#define HIT(name, family, kind, flip)                                                              \
	static int name(struct kv *kv, unsigned nth)                                               \
	{                                                                                          \
		return hit(kv, family, kind, nth, flip);                                           \
	}
HIT(history_drop, KV_HISTORY, KEY_INODE, false)
HIT(history_flip, KV_HISTORY, KEY_INODE, true)
HIT(pin_drop, KV_META, KEY_PIN, false)
HIT(pin_flip, KV_META, KEY_PIN, true)
HIT(name_drop, KV_META, KEY_SNAPSHOT, false)
HIT(epoch_drop, KV_META, KEY_EPOCH, false)
HIT(place_flip, KV_META, KEY_PLACE, true)

const struct damage snapshot_damages[] = {
	{"history-drop", history_drop}, /* only the sum tells of it */
	{"history-flip", history_flip, .left = true},
	{"pin-drop", pin_drop},
	{"pin-flip", pin_flip},
	{"snapshot-drop", name_drop},
	{"epoch-drop", epoch_drop},
	{"place-flip", place_flip},
	{0},
};
