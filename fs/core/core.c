/*
 * core.c: opening and closing the tree.
 */
#include "fs/core/ahead.h"
#include "fs/core/core_internal.h"
#include "fs/core/map.h"
#include "fs/core/pins.h"
#include "kv/keyring.h"

#define INODES_DEFAULT 16384
#define DIRTY_DEFAULT (32u << 20)
#define COMMIT_MS_DEFAULT 1000
#define CONTAINER_ROOT_KIND 1

/* The root directory of a new store, in the first container of domain 0. */
static int make_root(struct core *core)
{
	struct cred who = {.uid = core->options.root_uid, .gid = core->options.root_gid};
	_cleanup_(op_end) struct op op;
	struct inode parent = {.core = core}, *root;
	struct container store = {.core = core, .refs = 1};
	int r;

	/* The counter may be on disk already: whoever made it died before the root was. */
	core->next_block = CORE_ROOT_INO >> 8;
	op_begin(&op, core, &who);
	parent.container = &store;
	r = op_new_container(&op, &parent, CONTAINER_ROOT_KIND, false,
		S_IFDIR | core->options.root_mode, core->options.root_role, &root);
	if (r < 0)
		return r;
	if (root->ino != CORE_ROOT_INO)
		return -EBADMSG;
	op_stage(&op, root)->nlink = 2;
	return op_commit(&op);
}

/* Whether neither the root's lease nor its container nor itself is there: no store was ever made like that. */
static bool is_new(struct core *core)
{
	struct key prefix = key_make(0, CORE_ROOT_INO >> 8, KEY_CONTAINER, 0);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	uint32_t domain, container;

	return lease_find(core, CORE_ROOT_INO, &domain, &container) == -ENOENT &&
	       kv_iter_open(core->kv, NULL, NULL, KV_META, prefix.bytes, 8, &it) == 0 &&
	       kv_iter_seek(it, NULL, 0) == 0;
}

static int open_root(struct core *core)
{
	_cleanup_inode_ struct inode *root = NULL;
	int r = inode_get(core, CORE_ROOT_INO, NULL, &root);

	if (r != -ENOENT || core->options.read_only)
		return r;
	return is_new(core) ? OP_RETRY(make_root(core)) : -EBADMSG;
}

static void core_free(struct core *core)
{
	reader_stop(core);
	icache_release(core);
	container_release(core);
	map_cache_free(core->map_cache);
	pins_close(core);
	gate_release(&core->gate);
	pthread_mutex_destroy(&core->snapshot_lock);
	pthread_mutex_destroy(&core->tell_lock);
	pthread_mutex_destroy(&core->dirty_lock);
	free(core);
}

int core_open(struct kv *kv, const struct core_options *options, struct core **ret_core)
{
	struct core *core = calloc(1, sizeof *core);
	int r;

	if (!core)
		return -ENOMEM;
	core->kv = kv;
	core->options = *options;
	if (!core->options.inodes)
		core->options.inodes = INODES_DEFAULT;
	if (!core->options.dirty_bytes)
		core->options.dirty_bytes = DIRTY_DEFAULT;
	if (!core->options.commit_ms)
		core->options.commit_ms = COMMIT_MS_DEFAULT;
	pthread_mutex_init(&core->dirty_lock, NULL);
	pthread_mutex_init(&core->snapshot_lock, NULL);
	pthread_mutex_init(&core->tell_lock, NULL);
	gate_init(&core->gate);
	core->map_cache = map_cache_new();
	r = core->map_cache ? icache_init(core) : -ENOMEM;
	if (r == 0)
		r = reader_init(core);
	if (r == 0)
		r = container_init(core);
	if (r == 0)
		r = pins_open(core);
	if (r == 0)
		r = open_root(core);
	core->tails = r == 0 && !options->read_only && kv_require(kv, KEYRING_INCOMPAT_TAILS) == 0;
	if (r == 0)
		r = committer_start(core);
	if (r == 0)
		r = worker_start(core);
	if (r < 0) {
		committer_stop(core);
		core_free(core);
		return r;
	}
	*ret_core = core;
	return 0;
}

int core_close(struct core *core)
{
	int r;

	if (!core)
		return 0;
	committer_stop(core);
	r = core_commit_all(core);
	worker_stop(core);
	core_free(core);
	return r;
}

struct kv *core_kv(struct core *core)
{
	return core->kv;
}

int core_statfs(struct core *core, struct statvfs *ret_st)
{
	struct kv_space space;
	int64_t inodes = kv_counter_total(core->kv, KV_COUNT_INODES);
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = CORE_NAME_MAX};
	int r = kv_space(core->kv, &space);

	if (r < 0)
		return r;
	st.f_blocks = space.total / st.f_frsize;
	st.f_bfree = st.f_bavail = space.available / st.f_frsize;
	/* An inode costs at least a few hundred bytes of the disk; numbers never run out before it. */
	st.f_ffree = st.f_favail = space.available / 512;
	st.f_files = (fsfilcnt_t)(inodes > 0 ? inodes : 0) + st.f_ffree;
	*ret_st = st;
	return 0;
}
