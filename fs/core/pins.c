/*
 * pins.c: the pins that there are, in memory and in their rows.
 */
#include "fs/core/pins.h"

#include "kv/log.h"

#include <stdio.h>

uint64_t pins_generation(struct core *core)
{
	return atomic_load(&core->pins->generation);
}

uint64_t pins_epoch(struct core *core)
{
	return atomic_load(&core->pins->epoch);
}

size_t pins_count(struct core *core)
{
	return atomic_load(&core->pins->n);
}

/* ---- the set --------------------------------------------------------------------------------- */

static struct pin *slot_find(struct pins *p, uint32_t slot)
{
	struct pin *pin = p->slots[slot & (SLOT_BUCKETS - 1)];

	while (pin && pin->slot != slot)
		pin = pin->slot_next;
	return pin;
}

struct place_pins *place_find(struct pins *p, uint32_t container)
{
	struct place_pins *place = p->places[container & (p->place_buckets - 1)];

	while (place && place->container != container)
		place = place->next;
	return place;
}

size_t pins_above(struct pin *const *pins, size_t n, uint64_t id)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (pins[mid]->id <= id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct pin **numbered_bucket(struct pins *p, uint32_t number, int64_t second)
{
	return &p->numbered[((uint64_t)second * 31 + number * 7919u) & (NUMBERED_BUCKETS - 1)];
}

static struct pin *numbered_find(struct pins *p, uint32_t number, int64_t second)
{
	struct pin *pin = *numbered_bucket(p, number, second);

	while (pin && (pin->number != number || pin->second != second))
		pin = pin->numbered_next;
	return pin;
}

/* The second in which it was taken, or, where another of its number has that, the next one that is free. */
static void choose_second(struct pins *p, struct pin *pin)
{
	pin->second = pin->taken.tv_sec;
	while (numbered_find(p, pin->number, pin->second))
		pin->second++;
}

static int room(struct pin ***pins, size_t n, size_t *cap)
{
	struct pin **more;
	size_t want = *cap ? *cap * 2 : 2; /* most sessions have one or two */

	if (n < *cap)
		return 0;
	more = reallocarray(*pins, want, sizeof **pins);
	if (!more)
		return -ENOMEM;
	*pins = more;
	*cap = want;
	return 0;
}

static void link_place(struct pins *p, struct place_pins *place)
{
	struct place_pins **bucket = &p->places[place->container & (p->place_buckets - 1)];

	place->next = *bucket;
	*bucket = place;
}

/* Twice as many buckets, where there is memory for them. */
static void grow_places(struct pins *p)
{
	struct place_pins **old = p->places;
	size_t buckets = p->place_buckets;

	p->places = calloc(2 * buckets, sizeof *p->places);
	if (!p->places) {
		p->places = old;
		return;
	}
	p->place_buckets = 2 * buckets;
	for (size_t i = 0; i < buckets; i++)
		for (struct place_pins *place = old[i], *next; place; place = next) {
			next = place->next;
			link_place(p, place);
		}
	free(old);
}

static int reserve(struct pins *p, uint32_t container)
{
	struct place_pins *place = place_find(p, container);
	int r = room(&p->all, p->n, &p->cap);

	if (r == 0 && !place) {
		place = calloc(1, sizeof *place);
		if (!place)
			return -ENOMEM;
		place->container = container;
		if (++p->n_places > p->place_buckets)
			grow_places(p);
		link_place(p, place);
	}
	return r < 0 ? r : room(&place->pins, place->n, &place->cap);
}

int pins_reserve(struct core *core, uint32_t container)
{
	MUTEX_GUARD(&core->pins->lock);

	return reserve(core->pins, container);
}

static void insert(struct pin **pins, size_t n, struct pin *pin)
{
	size_t at = pins_above(pins, n, pin->id);

	memmove(&pins[at + 1], &pins[at], (n - at) * sizeof *pins);
	pins[at] = pin;
}

static void extract(struct pin **pins, size_t n, const struct pin *pin)
{
	size_t at = pins_above(pins, n, pin->id) - 1;

	memmove(&pins[at], &pins[at + 1], (n - at - 1) * sizeof *pins);
}

/* Room was reserved; to the set of all it is the caller's to add it. */
static void add(struct pins *p, struct pin *pin)
{
	struct place_pins *place = place_find(p, pin->container);

	p->n++;
	insert(place->pins, place->n++, pin);
	pin->slot_next = p->slots[pin->slot & (SLOT_BUCKETS - 1)];
	p->slots[pin->slot & (SLOT_BUCKETS - 1)] = pin;
	struct pin **bucket = numbered_bucket(p, pin->number, pin->second);
	pin->numbered_next = *bucket;
	*bucket = pin;
}

static void pin_free(struct pin *pin)
{
	if (pin)
		free(pin->name);
	free(pin);
}

/* The next slot that nobody has. There are more slots than memory for pins. */
static uint32_t free_slot(const struct pins *p)
{
	uint32_t slot = p->next_slot;

	while (slot == 0 || slot >= SNAPSHOT_DIR_SLOT || slot_find((struct pins *)p, slot))
		slot = slot >= SNAPSHOT_DIR_SLOT ? 1 : slot + 1;
	return slot;
}

void pins_add(struct core *core, struct pin *pin)
{
	struct pins *p = core->pins;

	pthread_mutex_lock(&p->lock);
	insert(p->all, p->n, pin);
	add(p, pin);
	p->next_slot = pin->slot + 1;
	pthread_mutex_unlock(&p->lock);
	atomic_store(&p->epoch, pin->id);
	atomic_fetch_add(&p->generation, 1);
}

void pins_remove(struct core *core, uint64_t id)
{
	struct pins *p = core->pins;
	struct place_pins *place;
	struct pin *pin, **at_slot, **at_number;
	size_t at;

	pthread_mutex_lock(&p->lock);
	at = pins_above(p->all, p->n, id);
	pin = p->all[at - 1];
	extract(p->all, p->n, pin);
	p->n--;
	place = place_find(p, pin->container);
	extract(place->pins, place->n--, pin);
	for (at_slot = &p->slots[pin->slot & (SLOT_BUCKETS - 1)]; *at_slot != pin;)
		at_slot = &(*at_slot)->slot_next;
	*at_slot = pin->slot_next;
	for (at_number = numbered_bucket(p, pin->number, pin->second); *at_number != pin;)
		at_number = &(*at_number)->numbered_next;
	*at_number = pin->numbered_next;
	pthread_mutex_unlock(&p->lock);
	atomic_fetch_add(&p->generation, 1);
	pin_free(pin);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static struct key pin_key(const struct pin *pin)
{
	struct key key = key_make(0, 0, KEY_PIN, pin->container);

	key_add_u64(&key, pin->id);
	return key;
}

int pins_stage(struct core *core, struct kv_txn *txn, struct pin *pin)
{
	struct key key = key_make(0, 0, KEY_EPOCH, 0);
	uint8_t value[34], *p = value;
	int r;

	pthread_mutex_lock(&core->pins->lock);
	pin->slot = free_slot(core->pins);
	choose_second(core->pins, pin);
	pthread_mutex_unlock(&core->pins->lock);
	pin->id = pins_epoch(core) + 1;
	p = put_be64(put_u8(p, PIN_FORMAT), pin->id);
	p = put_be32(p, pin->slot + 1);
	r = kv_txn_put(txn, KV_META, key.bytes, key.len, value, (size_t)(p - value));
	if (r < 0)
		return r;
	key = pin_key(pin);
	p = put_u8(put_u8(value, PIN_ROW_FORMAT), pin->flags);
	p = put_be32(put_be32(p, pin->domain), pin->slot);
	p = put_be64(p, (uint64_t)pin->taken.tv_sec);
	p = put_be32(p, (uint32_t)pin->taken.tv_nsec);
	p = put_be64(put_be32(p, pin->number), (uint64_t)pin->second);
	return kv_txn_insert(txn, KV_META, key.bytes, key.len, value, (size_t)(p - value));
}

static int pin_decode(const uint8_t *key, size_t len, const struct buf *value, struct pin *ret_pin)
{
	struct bytes_reader r = bytes_reader(value->data, value->len);
	struct pin pin = {0};
	uint8_t format = read_u8(&r);

	if (len != KEY_PREFIX + 8)
		return -EBADMSG;
	if (format < PIN_FORMAT || format > PIN_ROW_FORMAT)
		return r.bad ? -EBADMSG : -EPROTONOSUPPORT;
	pin.container = get_be32(key + 10);
	pin.id = get_be64(key + KEY_PREFIX);
	pin.flags = read_u8(&r);
	pin.domain = read_be32(&r);
	pin.slot = read_be32(&r);
	pin.taken.tv_sec = (time_t)read_be64(&r);
	pin.taken.tv_nsec = read_be32(&r);
	pin.number = format == PIN_FORMAT ? pins_number_of(pin.container) : read_be32(&r);
	pin.second = format == PIN_FORMAT ? INT64_MIN : (int64_t)read_be64(&r);
	if (bytes_reader_end(&r) < 0 || !pin.slot || pin.slot >= SNAPSHOT_DIR_SLOT)
		return -EBADMSG;
	*ret_pin = pin;
	return 0;
}

static int load_pin(struct pins *p, struct kv_iter *it, struct buf *value)
{
	struct pin *pin = calloc(1, sizeof *pin);
	size_t len;
	const uint8_t *key = kv_iter_key(it, &len);
	int r = pin ? kv_iter_value(it, value) : -ENOMEM;

	if (r == 0)
		r = pin_decode(key, len, value, pin);
	if (r == 0)
		r = reserve(p, pin->container);
	if (r < 0) {
		pin_free(pin);
		return r;
	}
	if (pin->second == INT64_MIN)
		choose_second(p, pin);
	p->all[p->n] = pin; /* in the order of places: sorted when all are there */
	add(p, pin);
	if (pin->id > p->epoch)
		p->epoch = pin->id;
	return 0;
}

static int load_epoch(struct core *core)
{
	struct key key = key_make(0, 0, KEY_EPOCH, 0);
	_cleanup_buf_ struct buf value = {0};
	struct bytes_reader reader;
	int r = kv_get(core->kv, NULL, KV_META, key.bytes, key.len, &value);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	reader = bytes_reader(value.data, value.len);
	if (read_u8(&reader) != PIN_FORMAT)
		return reader.bad ? -EBADMSG : -EPROTONOSUPPORT;
	core->pins->epoch = read_be64(&reader);
	core->pins->next_slot = read_be32(&reader);
	return bytes_reader_end(&reader);
}

static int by_id(const void *a, const void *b)
{
	const struct pin *x = *(struct pin *const *)a, *y = *(struct pin *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

int pins_open(struct core *core)
{
	struct key prefix = key_make(0, 0, KEY_PIN, 0);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct pins *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->generation = 1;
	p->next_slot = 1;
	p->place_buckets = PLACE_BUCKETS;
	p->places = calloc(PLACE_BUCKETS, sizeof *p->places);
	core->pins = p;
	r = p->places ? load_epoch(core) : -ENOMEM;
	if (r < 0 || !p->epoch)
		return r;
	r = kv_iter_open(core->kv, NULL, NULL, KV_META, prefix.bytes, 9, &it);
	if (r == 0)
		r = kv_iter_seek(it, NULL, 0);
	while (r > 0) {
		r = load_pin(p, it, &value);
		if (r == -EBADMSG) { /* that one is lost: no reason not to mount */
			log_error("the record of a snapshot is damaged; it is not shown");
			r = 0;
		}
		if (r == 0)
			r = kv_iter_next(it);
	}
	if (p->n)
		qsort(p->all, p->n, sizeof *p->all, by_id);
	return r;
}

void pins_close(struct core *core)
{
	struct pins *p = core->pins;

	if (!p)
		return;
	lineages_forget(p);
	for (size_t i = 0; i < p->n; i++)
		pin_free(p->all[i]);
	free(p->all);
	for (size_t i = 0; p->places && i < p->place_buckets; i++)
		while (p->places[i]) {
			struct place_pins *place = p->places[i];
			p->places[i] = place->next;
			free(place->pins);
			free(place);
		}
	free(p->places);
	pthread_mutex_destroy(&p->lock);
	free(steal_ptr(core->pins));
}

/* ---- finding --------------------------------------------------------------------------------- */

uint64_t pins_id_of_slot(struct core *core, uint32_t slot, uint32_t *ret_container)
{
	MUTEX_GUARD(&core->pins->lock);
	const struct pin *pin = slot_find(core->pins, slot);

	if (!pin)
		return 0;
	*ret_container = pin->container;
	return pin->id;
}

/*
 * Snapshot row (KEY_SNAPSHOT, under the place's domain): u8 format (1) | u32 uid | u32 gid | the name.
 * Where it cannot be read the snapshot is there all the same, by a name that says so.
 */
static int load_name(struct core *core, struct pin *pin)
{
	struct key key = key_make(pin->domain, pin->container, KEY_SNAPSHOT, 0);
	_cleanup_buf_ struct buf value = {0};
	int r;

	if (pin->name)
		return 0;
	key_add_u64(&key, pin->id);
	r = kv_get(core->kv, NULL, KV_META, key.bytes, key.len, &value);
	if (r == -ENOMEM || r == -EIO)
		return r;
	if (r == 0 && value.len > 9 && value.len <= 9 + CORE_NAME_MAX && value.data[0] == PIN_FORMAT) {
		pin->uid = get_be32(value.data + 1);
		pin->gid = get_be32(value.data + 5);
		pin->name = strndup((const char *)value.data + 9, value.len - 9);
	} else if (asprintf(&pin->name, "unreadable-%llu", (unsigned long long)pin->id) < 0) {
		pin->name = NULL;
	}
	return pin->name ? 0 : -ENOMEM;
}

static int fill_info(struct core *core, struct pin *pin, struct snapshot_info *ret_info)
{
	uint64_t place = (uint64_t)pin->container << 8;
	int r = load_name(core, pin);

	if (r < 0)
		return r;
	*ret_info = (struct snapshot_info){.id = pin->id, .place = place,
		.root = (uint64_t)pin->slot << SNAPSHOT_SLOT_SHIFT | place, .domain = pin->domain,
		.flags = pin->flags, .taken = pin->taken, .number = pin->number, .second = pin->second,
		.uid = pin->uid, .gid = pin->gid};
	strncpy(ret_info->name, pin->name, CORE_NAME_MAX);
	return 0;
}

int pins_next(struct core *core, uint32_t container, uint64_t after, struct snapshot_info *ret_info)
{
	struct pins *p = core->pins;
	MUTEX_GUARD(&p->lock);
	const struct place_pins *place = container ? place_find(p, container) : NULL;
	struct pin **pins = container ? (place ? place->pins : NULL) : p->all;
	size_t n = container ? (place ? place->n : 0) : p->n, at = pins_above(pins, n, after);

	return at == n ? -ENOENT : fill_info(core, pins[at], ret_info);
}

int pins_find(struct core *core, uint32_t container, const char *name, struct snapshot_info *ret_info)
{
	MUTEX_GUARD(&core->pins->lock);
	const struct place_pins *place = place_find(core->pins, container);

	for (size_t i = 0; place && i < place->n; i++) {
		int r = load_name(core, place->pins[i]);
		if (r < 0)
			return r;
		if (strcmp(place->pins[i]->name, name) == 0)
			return fill_info(core, place->pins[i], ret_info);
	}
	return -ENOENT;
}

int pins_numbered(struct core *core, uint32_t number, int64_t second, struct snapshot_info *ret_info)
{
	MUTEX_GUARD(&core->pins->lock);
	struct pin *pin = numbered_find(core->pins, number, second);

	return pin ? fill_info(core, pin, ret_info) : -ENOENT;
}

bool pins_newest_of(struct core *core, uint32_t container, uint64_t *ret_id)
{
	MUTEX_GUARD(&core->pins->lock);
	const struct place_pins *place = place_find(core->pins, container);

	if (place && place->n)
		*ret_id = place->pins[place->n - 1]->id;
	return place && place->n;
}

size_t pins_of(struct core *core, uint32_t container)
{
	MUTEX_GUARD(&core->pins->lock);
	const struct place_pins *place = place_find(core->pins, container);

	return place ? place->n : 0;
}

bool pins_last_taken(struct core *core, struct timespec *ret_taken)
{
	struct pins *p = core->pins;

	MUTEX_GUARD(&p->lock);
	if (p->n == 0)
		return false;
	*ret_taken = p->all[p->n - 1]->taken;
	return true;
}

static struct pin *find(struct pins *p, uint64_t id)
{
	size_t at = pins_above(p->all, p->n, id);

	return at > 0 && p->all[at - 1]->id == id ? p->all[at - 1] : NULL;
}

int pins_get(struct core *core, uint64_t id, struct snapshot_info *ret_info)
{
	MUTEX_GUARD(&core->pins->lock);
	struct pin *pin = find(core->pins, id);

	return pin ? fill_info(core, pin, ret_info) : -ENOENT;
}

void pins_rename(struct core *core, uint64_t id, char *name)
{
	MUTEX_GUARD(&core->pins->lock);
	struct pin *pin = find(core->pins, id);

	if (pin) {
		free(pin->name);
		pin->name = name;
	} else {
		free(name);
	}
}
