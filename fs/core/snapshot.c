/*
 * snapshot.c: taking, dropping, renaming and finding snapshots. snapshot.h is the contract.
 */
#include "fs/core/pins.h"

/* The container whose root @place is. A reference. */
static int place_container(struct core *core, uint64_t place, struct container **ret_container)
{
	_cleanup_inode_ struct inode *dir = NULL;
	bool root;
	int r = snapshot_is_present(place) ? inode_get(core, place, NULL, &dir) : -EINVAL;

	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&dir->lock);
	root = dir->rec.flags & INODE_CONTAINER_ROOT;
	pthread_rwlock_unlock(&dir->lock);
	if (!inode_is_dir(dir) || !root)
		return -EINVAL;
	if (dir->ghost)
		return -ENOENT;
	*ret_container = container_ref(dir->container);
	return 0;
}

static int stage_name(struct kv_txn *txn, const struct snapshot_info *info, const char *name)
{
	struct key key = key_make(info->domain, (uint32_t)(info->place >> 8), KEY_SNAPSHOT, 0);
	uint8_t value[9 + CORE_NAME_MAX], *p = put_u8(value, PIN_FORMAT);

	p = put_be32(put_be32(p, info->uid), info->gid);
	p = put_bytes(p, name, strlen(name));
	key_add_u64(&key, info->id);
	return kv_txn_put(txn, KV_META, key.bytes, key.len, value, (size_t)(p - value));
}

/* With the gate closed: everything that the snapshot shows is committed. */
static int take_once(struct core *core, struct container *c, struct pin *pin)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	struct snapshot_info info = {.domain = c->domain, .place = (uint64_t)c->id << 8,
		.uid = pin->uid, .gid = pin->gid};
	int r;

	/* Nobody removes it now: that is an op. */
	if (c->dead)
		return -ENOENT;
	clock_gettime(CLOCK_REALTIME, &pin->taken);
	r = kv_txn_begin(core->kv, &txn);
	if (r == 0)
		r = pins_stage(core, txn, pin);
	info.id = pin->id;
	if (r == 0)
		r = stage_name(txn, &info, pin->name);
	return r < 0 ? r : kv_txn_commit(txn, NULL);
}

/* What is to happen in the instant of the taking. */
struct then {
	int (*call)(void *arg);
	void *arg;
	int result;
};

static int take(struct core *core, struct container *c, struct pin *pin, struct then *then)
{
	int r = pins_reserve(core, c->id);

	/* Most of what is buffered goes while others still write. */
	if (r == 0)
		r = commit_below(core, c->id);
	if (r < 0)
		return r;
	gate_close(&core->gate);
	r = commit_below(core, c->id);
	if (r == 0)
		r = OP_RETRY(take_once(core, c, pin));
	if (r == 0)
		pins_add(core, pin);
	if (r == 0 && then->call)
		then->result = then->call(then->arg);
	gate_open(&core->gate);
	return r;
}

static int check_name(struct core *core, uint64_t place, const char *name)
{
	struct snapshot_info other;
	size_t len;
	int r = name_check(name, &len);

	if (r == 0 && name_is_dots(name))
		r = -EEXIST;
	if (r == 0)
		r = snapshot_find(core, place, name, &other);
	return r == 0 ? -EEXIST : r == -ENOENT ? 0 : r;
}

int snapshot_take_then(struct core *core, const struct cred *who, uint64_t place, const struct snapshot_new *asked,
	int (*call)(void *arg), void *arg, struct snapshot_info *ret_info)
{
	struct then then = {.call = call, .arg = arg};
	_cleanup_(container_putp) struct container *c = NULL;
	struct pin *pin;
	uint64_t id;
	int r = core->options.read_only ? -EROFS : place_container(core, place, &c);

	if (r < 0)
		return r;
	MUTEX_GUARD(&core->snapshot_lock);
	r = check_name(core, place, asked->name);
	if (r < 0)
		return r;
	pin = calloc(1, sizeof *pin);
	if (pin)
		*pin = (struct pin){.domain = c->domain, .container = c->id, .flags = (uint8_t)asked->flags,
			.number = asked->number ? asked->number : pins_number_of(c->id), .uid = who->uid,
			.gid = who->gid, .name = strdup(asked->name)};
	r = pin && pin->name ? take(core, c, pin, &then) : -ENOMEM;
	if (r < 0) {
		if (pin)
			free(pin->name);
		free(pin);
		return r;
	}
	id = pin->id;
	r = ret_info ? pins_get(core, id, ret_info) : 0;
	return then.result < 0 ? then.result : r;
}

int snapshot_take(struct core *core, const struct cred *who, uint64_t place, const char *name,
	unsigned flags, struct snapshot_info *ret_info)
{
	return snapshot_take_then(core, who, place, &(struct snapshot_new){name, flags, 0}, NULL, NULL, ret_info);
}

static int drop_once(struct core *core, const struct snapshot_info *info)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	uint32_t container = (uint32_t)(info->place >> 8);
	struct key pin = key_make(0, 0, KEY_PIN, container);
	struct key name = key_make(info->domain, container, KEY_SNAPSHOT, 0);
	int r = kv_txn_begin(core->kv, &txn);

	if (r < 0)
		return r;
	key_add_u64(&pin, info->id);
	key_add_u64(&name, info->id);
	kv_txn_set_shrinking(txn);
	r = kv_txn_delete(txn, KV_META, pin.bytes, pin.len);
	if (r == 0)
		r = kv_txn_delete(txn, KV_META, name.bytes, name.len);
	if (r == 0)
		r = work_add_sweep(txn, info->id, info->domain, container,
			info->flags & SNAPSHOT_ALONE);
	return r < 0 ? r : kv_txn_commit(txn, NULL);
}

int snapshot_drop(struct core *core, uint64_t id)
{
	struct snapshot_info info;
	int r;

	if (core->options.read_only)
		return -EROFS;
	MUTEX_GUARD(&core->snapshot_lock);
	r = pins_get(core, id, &info);
	if (r < 0)
		return r;
	/* Ops that have decided to keep something for it begin anew: no sweep would come by again. */
	gate_close(&core->gate);
	r = OP_RETRY(drop_once(core, &info));
	if (r == 0)
		pins_remove(core, id);
	gate_open(&core->gate);
	if (r == 0)
		worker_kick(core);
	return r;
}

static int rename_once(struct core *core, const struct snapshot_info *info, const char *name)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	int r = kv_txn_begin(core->kv, &txn);

	if (r == 0)
		r = stage_name(txn, info, name);
	return r < 0 ? r : kv_txn_commit(txn, NULL);
}

int snapshot_rename(struct core *core, uint64_t id, const char *name)
{
	struct snapshot_info info;
	char *copy;
	int r;

	if (core->options.read_only)
		return -EROFS;
	MUTEX_GUARD(&core->snapshot_lock);
	r = pins_get(core, id, &info);
	if (r < 0)
		return r;
	if (strcmp(name, info.name) == 0)
		return 0;
	r = check_name(core, info.place, name);
	if (r < 0)
		return r;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	r = OP_RETRY(rename_once(core, &info, name));
	if (r == 0)
		pins_rename(core, id, steal_ptr(copy));
	free(copy);
	return r;
}

/* ---- finding --------------------------------------------------------------------------------- */

int snapshot_find(struct core *core, uint64_t place, const char *name, struct snapshot_info *ret_info)
{
	return pins_find(core, (uint32_t)(place >> 8), name, ret_info);
}

int snapshot_get(struct core *core, uint64_t id, struct snapshot_info *ret_info)
{
	return pins_get(core, id, ret_info);
}

int snapshot_of_ino(struct core *core, uint64_t ino, struct snapshot_info *ret_info)
{
	uint32_t container;
	uint64_t id = pins_id_of_slot(core, snapshot_slot(ino), &container);
	int r = id ? pins_get(core, id, ret_info) : -ENOENT;

	return r == -ENOENT ? -ESTALE : r;
}

static int is_removed(struct core *core, const struct snapshot_info *info, bool *ret_removed)
{
	struct key key = key_make(info->domain, (uint32_t)(info->place >> 8), KEY_CONTAINER, 0);
	_cleanup_buf_ struct buf value = {0};
	int r = kv_get(core->kv, NULL, KV_META, key.bytes, key.len, &value);

	*ret_removed = r == -ENOENT;
	return r == -ENOENT ? 0 : r;
}

int snapshot_numbered(struct core *core, uint32_t number, int64_t second, struct snapshot_info *ret_info)
{
	int r = pins_numbered(core, number, second, ret_info);

	return r < 0 ? r : is_removed(core, ret_info, &ret_info->removed);
}

static bool is_after(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

int snapshot_at(struct core *core, uint64_t place, const struct timespec *time,
	struct snapshot_info *ret_info)
{
	struct snapshot_info best = {0}, info;
	uint64_t after = 0;
	int r;

	/* All are looked at: a clock that was set back puts times out of the order of ids. */
	for (; (r = pins_next(core, (uint32_t)(place >> 8), after, &info)) == 0; after = info.id)
		if (!is_after(&info.taken, time) && (!best.id || !is_after(&best.taken, &info.taken)))
			best = info;
	if (r != -ENOENT)
		return r;
	if (!best.id)
		return -ENOENT;
	*ret_info = best;
	return 0;
}

int snapshot_list(struct core *core, uint64_t place, uint64_t after,
	int (*each)(void *arg, const struct snapshot_info *info), void *arg)
{
	struct snapshot_info info;
	int r;

	while ((r = pins_next(core, (uint32_t)(place >> 8), after, &info)) == 0) {
		after = info.id;
		r = is_removed(core, &info, &info.removed);
		if (r == 0)
			r = each(arg, &info);
		if (r != 0)
			return r;
	}
	return r == -ENOENT ? 0 : r;
}

size_t snapshot_count(struct core *core, uint64_t place)
{
	return place ? pins_of(core, (uint32_t)(place >> 8)) : pins_count(core);
}

bool snapshot_last_taken(struct core *core, struct timespec *ret_taken)
{
	return pins_last_taken(core, ret_taken);
}
