/*
 * check_past.c: snapshots in a look: their pins, rows and epoch, and the history that they see. Nothing of the
 * history is ever deleted or changed by a check: what no snapshot needs is the sweep's.
 *
 * The history is scanned once, after the containers. Of a version of a mapped file its map is walked as far as
 * the version before it does not have the same (sweep.c has the rule), unless a sweep is pending: that
 * may have freed part of a version which nobody needs any more.
 */
#include "fs/core/check_rescue.h"
#include "fs/core/past.h"
#include "fs/core/pins.h"

#include <stdio.h>

/* ---- pins ------------------------------------------------------------------------------------ */

int past_epoch_row(struct check *c)
{
	struct bytes_reader r = bytes_reader(c->value.data, c->value.len);
	bool known = c->value_error == 0 && read_u8(&r) == PIN_FORMAT;
	uint64_t epoch = known ? read_be64(&r) : 0;
	uint32_t slot = known ? read_be32(&r) : 0;

	known = known && bytes_reader_end(&r) == 0;
	c->epoch = known ? epoch : 0;
	c->next_slot = known ? slot : 0;
	return 0;
}

int past_pin_row(struct check *c, const uint8_t *key, size_t len)
{
	struct bytes_reader r = bytes_reader(c->value.data, c->value.len);
	struct pin_row pin = {0};
	uint8_t format = c->value_error == 0 && len == KEY_PREFIX + 8 ? read_u8(&r) : 0;

	if (format >= PIN_FORMAT && format <= PIN_ROW_FORMAT) {
		read_u8(&r);
		pin.domain = read_be32(&r);
		pin.slot = read_be32(&r);
		pin.taken = (int64_t)read_be64(&r);
		read_be32(&r);
		if (format == PIN_ROW_FORMAT) {
			read_be32(&r);
			read_be64(&r);
		}
		pin.container = get_be32(key + 10);
		pin.id = get_be64(key + KEY_PREFIX);
	}
	pin.bad = !pin.id || bytes_reader_end(&r) < 0 || !pin.slot || pin.slot >= SNAPSHOT_DIR_SLOT;
	if (pin.bad)
		pin = (struct pin_row){.bad = true, .container = len < KEY_PREFIX ? 0 : get_be32(key + 10),
			.id = len == KEY_PREFIX + 8 ? get_be64(key + KEY_PREFIX) : 0};
	else if (pin.id > c->newest_pin)
		c->newest_pin = pin.id;
	struct pin_row *row = LIST_ADD(pin.bad ? &c->bad_pins : &c->pins, struct pin_row);
	if (!row)
		return -ENOMEM;
	*row = pin;
	return 0;
}

static bool slot_taken(struct check *c, uint32_t slot)
{
	for (size_t i = 0; i < c->pins.n; i++)
		if (LIST_AT(&c->pins, struct pin_row, i)->slot == slot)
			return true;
	return false;
}

/* As a backup has it; the newest first. One of before a restore may have given the number to another. -ENOENT. */
static int pin_of_backup(struct check *c, const struct key *key, struct buf *value)
{
	for (size_t i = 0; i < c->options->n_sources; i++) {
		const struct check_source *source = &c->options->sources[i];
		const char *reason;
		struct kv *kv;
		if (source->open(source->arg, &kv, &reason) == 0 &&
			kv_get(kv, NULL, KV_META, key->bytes, key->len, value) == 0 && value->len >= 22 &&
			value->data[0] >= PIN_FORMAT && value->data[0] <= PIN_ROW_FORMAT &&
			get_be32(value->data + 2) == c->domain && !slot_taken(c, get_be32(value->data + 6)))
			return 0;
	}
	return -ENOENT;
}

/* When it was taken: not before the last one that was before it, and no later than the one after. */
static int64_t taken_about(struct check *c, uint64_t id)
{
	const struct pin_row *best = NULL;

	for (size_t i = 0; i < c->pins.n; i++) {
		const struct pin_row *pin = LIST_AT(&c->pins, struct pin_row, i);
		if (!best || (pin->id < id ? best->id > id || pin->id > best->id : pin->id < best->id && best->id > id))
			best = pin;
	}
	return best ? best->taken : c->users.ctime.tv_sec;
}

/*
 * The record of a snapshot, of which the row with its name says where and in which epoch it was taken. Its numbers in
 * inodes are new where no backup has it, and it is one that somebody named: it is not dropped by itself.
 */
static int remake_pin(struct check *c, uint64_t id)
{
	struct key key = key_make(0, 0, KEY_PIN, c->container), count = key_make(0, 0, KEY_EPOCH, 0);
	_cleanup_buf_ struct buf old = {0};
	uint64_t epoch = c->epoch > c->newest_pin ? c->epoch : c->newest_pin;
	uint32_t slot = c->next_slot ? c->next_slot : 1;
	uint8_t value[22], row[13];

	key_add_u64(&key, id);
	if (pin_of_backup(c, &key, &old) == 0)
		return check_put(c, KV_META, &key, old.data, old.len);
	for (size_t i = 0; i < c->pins.n; i++)
		if (LIST_AT(&c->pins, struct pin_row, i)->slot >= slot)
			slot = LIST_AT(&c->pins, struct pin_row, i)->slot + 1;
	uint8_t *p = put_be32(put_be32(put_u8(put_u8(value, PIN_FORMAT), 0), c->domain), slot);
	put_be32(put_be64(p, (uint64_t)taken_about(c, id)), 0);
	int r = check_put(c, KV_META, &key, value, sizeof value);
	put_be32(put_be64(put_u8(row, PIN_FORMAT), id > epoch ? id : epoch), slot + 1);
	if (r == 0)
		r = check_put(c, KV_META, &count, row, sizeof row);
	c->next_slot = slot + 1;
	return r;
}

int past_snapshot_row(struct check *c, const uint8_t *key, size_t len)
{
	uint64_t id = len == KEY_PREFIX + 8 ? get_be64(key + KEY_PREFIX) : 0;

	for (size_t i = 0; i < c->pins.n; i++) {
		struct pin_row *pin = LIST_AT(&c->pins, struct pin_row, i);
		if (pin->id != id || pin->container != c->container)
			continue;
		pin->named = c->value_error == 0 && c->value.len > 9 &&
			     c->value.len <= 9 + CORE_NAME_MAX && c->value.data[0] == PIN_FORMAT;
		return 0;
	}
	for (size_t i = 0; i < c->bad_pins.n; i++) {
		struct pin_row *bad = LIST_AT(&c->bad_pins, struct pin_row, i);
		bad->named |= bad->id == id && bad->container == c->container;
	}
	if (!check_tell(c, id != 0, "snapshot", 0, NULL, (uint64_t)c->container << 8,
		    "snapshot %llu of it has lost its record; what changed meanwhile may be missing in it",
		    (unsigned long long)id) || !id)
		return 0;
	return remake_pin(c, id);
}

struct place_copy {
	const struct check *c;
	const struct key *key;
	struct buf value; /* of a copy */
};

static bool is_place(const struct check *c, const uint8_t *key, size_t len, const struct buf *value)
{
	struct past_place place;

	return place_decode(key, len, value, &place) == 0 && place.from < place.until &&
	       place.container != c->container;
}

static int take_place(void *arg, const struct buf *value)
{
	struct place_copy *copy = arg;

	if (!is_place(copy->c, copy->key->bytes, copy->key->len, value))
		return -EBADMSG;
	return buf_set(&copy->value, value->data, value->len);
}

/* One that cannot be read keeps all that the container has from being written to. */
int past_place_row(struct check *c, const uint8_t *key, size_t len)
{
	struct key row = {.len = len};
	struct place_copy copy = {.c = c, .key = &row};
	int r, taken;

	if (c->value_error == 0 && is_place(c, key, len, &c->value))
		return 0;
	if (len > KEY_MAX)
		return -EBADMSG;
	memcpy(row.bytes, key, len);
	taken = check_rescue(c, &row, take_place, &copy);
	r = taken < 0 ? taken : 0;
	if (r == 0 && check_tell(c, true, "snapshot", 0, NULL, (uint64_t)c->container << 8,
			      "where it lay for older snapshots cannot be read%s",
			      taken ? rescue_said(c) : "; it may be missing in them"))
		r = taken ? check_put(c, KV_META, &row, copy.value.data, copy.value.len)
			  : check_delete(c, KV_META, row.bytes, row.len);
	buf_release(&copy.value);
	return r;
}

/* What no snapshot's name says to be one cannot be told of which container and when it was. */
static void tell_bad(struct check *c)
{
	for (size_t i = 0; i < c->bad_pins.n; i++)
		if (!LIST_AT(&c->bad_pins, struct pin_row, i)->named)
			check_tell(c, false, "snapshot", 0, NULL, 0, "the record of a snapshot cannot be read");
}

static int check_epoch(struct check *c)
{
	struct key key = key_make(0, 0, KEY_EPOCH, 0);
	uint32_t slot = 0;
	uint8_t value[13];

	if (c->epoch >= c->newest_pin)
		return 0;
	if (!check_tell(c, true, "snapshot", 0, NULL, 0,
		    "the count of snapshots is missing, unreadable or too low"))
		return 0;
	for (size_t i = 0; i < c->pins.n; i++)
		if (LIST_AT(&c->pins, struct pin_row, i)->slot > slot)
			slot = LIST_AT(&c->pins, struct pin_row, i)->slot;
	put_be32(put_be64(put_u8(value, PIN_FORMAT), c->newest_pin), slot + 1);
	return check_put(c, KV_META, &key, value, sizeof value);
}

/* A snapshot that has lost its name gets one. */
static int check_pin(struct check *c, const struct pin_row *pin)
{
	struct key key = key_make(pin->domain, pin->container, KEY_SNAPSHOT, 0);
	uint8_t value[9 + 40], *p = value;
	int len;

	if (pin->named || !kv_domain_exists(c->kv, pin->domain))
		return 0;
	if (!check_tell(c, true, "snapshot", 0, NULL, (uint64_t)pin->container << 8,
		    "the name of snapshot %llu of it is missing or cannot be read",
		    (unsigned long long)pin->id))
		return 0;
	key_add_u64(&key, pin->id);
	p = put_be32(put_be32(put_u8(p, PIN_FORMAT), c->users.uid), c->users.gid);
	len = snprintf((char *)p, 40, "recovered-%llu", (unsigned long long)pin->id);
	return check_put(c, KV_META, &key, value, 9 + (size_t)len);
}

/* ---- versions -------------------------------------------------------------------------------- */

struct version_walk {
	struct check *c;
	struct inode inode; /* stands in, for keys */
	uint64_t low;	    /* next_version of the version before */
	struct buf value;
	bool lost;
};

static int walk_version(struct version_walk *w, const struct map_entry *entry, unsigned height,
	uint64_t index)
{
	_cleanup_free_ struct map_page *page = NULL;
	struct key key;
	int r;

	if (entry->type != MAP_RECORD || entry->version < w->low)
		return 0;
	key = height ? map_page_key(&w->inode, height - 1, index, entry->version)
		     : map_chunk_key(&w->inode, index, entry->version);
	r = check_get(w->c, KV_DATA, &key, &w->value);
	if (r == 0 && height) {
		page = malloc(sizeof *page);
		if (!page)
			return -ENOMEM;
		r = map_page_decode(w->value.data, w->value.len, page);
	} else if (r == 0 && w->value.len != entry->length) {
		r = -EBADMSG;
	}
	if (r < 0) {
		w->lost = true;
		return r == -ENOMEM ? r : 0;
	}
	for (unsigned i = 0; height && r == 0 && i < MAP_FANOUT; i++)
		r = walk_version(w, &page->entries[i], height - 1,
			(index << MAP_FANOUT_SHIFT) + i);
	return r;
}

struct history {
	struct version_walk walk;
	struct kv_scan *scan;
	bool swept; /* a sweep is pending */
	bool taken; /* data of the version at hand is there again */
};

static int check_inode_version(struct history *h, uint64_t until, const struct buf *value)
{
	struct version_walk *w = &h->walk;
	_cleanup_copy_ struct inode_copy copy = {0};
	int r = irec_decode(value->data, value->len, &copy.rec, &copy.inline_data, &copy.facts);

	if (r < 0 || copy.rec.body != INODE_MAPPED)
		return r;
	if (!h->swept)
		r = walk_version(w, &copy.rec.map.root, copy.rec.map.depth, 0);
	if (r == 0 && w->lost && w->c->options->mend) {
		r = rescue_version(w->c, w->inode.ino, &copy.rec, until);
		h->taken = r == RESCUE_TAKEN;
		r = r < 0 ? r : 0;
	}
	w->low = copy.rec.map.next_version;
	return r;
}

static bool version_shape(const uint8_t *key, size_t len)
{
	return len >= KEY_PREFIX + VERSION_TAIL && key[8] >= KEY_SESSION && key[8] <= KEY_XATTR &&
	       get_be64(key + len - 8) < get_be64(key + len - VERSION_TAIL);
}

static int check_version(struct history *h, const uint8_t *key, size_t len)
{
	struct check *c = h->walk.c;
	_cleanup_buf_ struct buf value = {0};
	uint64_t ino = key_ino(key), until = get_be64(key + len - VERSION_TAIL);
	struct dentry d;
	int r = kv_scan_value(h->scan, &value);

	if (h->walk.inode.ino != ino || h->walk.inode.container->id != c->container)
		h->walk.low = 0;
	c->stand_in = (struct container){.id = c->container, .domain = c->domain, .core = &c->core};
	h->walk.inode.ino = ino;
	h->walk.lost = h->taken = false;
	if (r == 0 && key[8] == KEY_INODE)
		r = check_inode_version(h, until, &value);
	else if (r == 0 && key[8] == KEY_DENTRY)
		r = dentry_decode(value.data, value.len, &d);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		check_tell(c, false, "history", 0, NULL, ino,
			"what snapshots up to %llu see of it cannot be read",
			(unsigned long long)until);
	else if (h->walk.lost)
		check_tell(c, h->taken, "history", 0, NULL, ino,
			"data that snapshots up to %llu see of it cannot be read%s",
			(unsigned long long)until, c->options->mend ? rescue_said(c) : "");
	return 0;
}

static int check_one(struct history *h)
{
	struct check *c = h->walk.c;
	size_t len;
	const uint8_t *key = kv_scan_key(h->scan, &len);
	struct domain_count *domain = len >= 8 ? domain_of(c, get_be32(key)) : NULL;

	if (len >= 8 && !domain)
		return -ENOMEM;
	c->result->records++;
	if (domain && domain->keyless) /* a user who was forgotten: nobody reads it */
		return 0;
	c->domain = len >= 8 ? get_be32(key) : 0;
	c->container = len >= 8 ? get_be32(key + 4) : 0;
	if (domain)
		domain->records++;
	if (version_shape(key, len))
		return check_version(h, key, len);
	check_tell(c, false, "history", 0, NULL, 0, "a version of a kind that is not known");
	return 0;
}

int past_settle_look(struct check *c)
{
	struct history h = {.walk = {.c = c,
		.inode = {.core = &c->core, .container = &c->stand_in}}};
	int r;

	c->nodes.n = 0;
	for (size_t i = 0; i < c->works.n; i++)
		h.swept |= LIST_AT(&c->works, struct work_row, i)->kind == WORK_SWEEP;
	r = kv_scan_open(c->kv, KV_HISTORY, &h.scan);
	while (r >= 0 && (r = kv_scan_next(h.scan)) > 0)
		r = check_one(&h);
	if (h.scan)
		c->result->gaps += kv_scan_gaps(h.scan);
	kv_scan_free(h.scan);
	buf_release(&h.walk.value);
	c->domain = c->container = 0;
	tell_bad(c);
	if (r == 0)
		r = check_epoch(c);
	for (size_t i = 0; r == 0 && i < c->pins.n; i++)
		r = check_pin(c, LIST_AT(&c->pins, struct pin_row, i));
	return r;
}

/* ---- mending --------------------------------------------------------------------------------- */

/* Where the epoch stands; 0: it has none. */
static size_t epoch_at(uint8_t kind)
{
	return kind == KEY_INODE ? IREC_EPOCH_AT : kind == KEY_DENTRY ? DENTRY_EPOCH_AT : 0;
}

/* Whether there is a version from @pin on, and the end of the newest one. */
static int versions_of(struct check *c, const struct key *key, uint64_t *ret_until)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	size_t len;
	int r = kv_iter_open(c->kv, NULL, c->txn, KV_HISTORY, key->bytes, key->len, &it);

	*ret_until = 0;
	if (r == 0)
		r = kv_iter_seek_back(it, NULL, 0);
	if (r > 0) {
		const uint8_t *found = kv_iter_key(it, &len);
		if (len == key->len + VERSION_TAIL)
			*ret_until = get_be64(found + key->len);
	}
	return r < 0 ? r : 0;
}

int past_keep(struct check *c, const struct key *key, uint64_t *ret_epoch)
{
	_cleanup_buf_ struct buf old = {0};
	uint64_t epoch = c->epoch > c->newest_pin ? c->epoch : c->newest_pin, from = 0, until;
	size_t at = key->len > 8 ? epoch_at(key->bytes[8]) : 0;
	struct key version = *key;
	int r, found;

	*ret_epoch = 0;
	if (!c->newest_pin || key->len < KEY_PREFIX || key->len > KEY_MAX - VERSION_TAIL ||
		key->bytes[8] < KEY_SESSION || key->bytes[8] > KEY_XATTR)
		return 0;
	r = versions_of(c, key, &until);
	if (r < 0)
		return r;
	found = check_get(c, KV_META, key, &old);
	*ret_epoch = until;
	if (found == -ENOMEM)
		return found;
	if (at) {
		if (found < 0 || old.len < at + 8)
			return 0; /* snapshots above the newest version see what is put in its place */
		from = get_be64(old.data + at);
		*ret_epoch = from;
	} else if (found < 0) {
		if (found != -ENOENT)
			return 0;
		old.len = 0;
	}
	if (at ? from >= c->newest_pin : until >= c->newest_pin)
		return 0;
	*ret_epoch = epoch;
	key_add_u64(&version, epoch);
	key_add_u64(&version, from);
	if (until >= epoch) /* a record that was put back to an older one: its version is there */
		return 0;
	return kv_txn_insert(c->txn, KV_HISTORY, version.bytes, version.len, old.data, old.len);
}

int past_put(struct check *c, const struct key *key, const void *value, size_t len)
{
	_cleanup_buf_ struct buf copy = {0};
	size_t at = key->len > 8 ? epoch_at(key->bytes[8]) : 0;
	uint64_t epoch;
	int r = past_keep(c, key, &epoch);

	if (r == 0)
		r = buf_append(&copy, value, len);
	if (r < 0)
		return r;
	if (at && epoch && len >= at + 8)
		put_be64(copy.data + at, epoch);
	return kv_txn_put(c->txn, KV_META, key->bytes, key->len, copy.data, len);
}

uint64_t past_kept_version(struct check *c, const struct work_row *row)
{
	struct key key = key_make(row->domain, row->container, KEY_INODE, row->ino);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_copy_ struct inode_copy copy = {0};
	_cleanup_buf_ struct buf value = {0};
	int r = kv_iter_open(c->kv, NULL, c->txn, KV_HISTORY, key.bytes, key.len, &it);

	if (r == 0)
		r = kv_iter_seek_back(it, NULL, 0);
	if (r == 0)
		return 0;
	if (r > 0)
		r = kv_iter_value(it, &value);
	if (r == 0)
		r = irec_decode(value.data, value.len, &copy.rec, &copy.inline_data, &copy.facts);
	return r < 0 ? UINT64_MAX : copy.rec.map.next_version;
}
