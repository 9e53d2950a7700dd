/*
 * check_rescue.c: older copies of what was lost: the versions that snapshots see, which lie in this store's history,
 * and its backups. All that have the record in question are tried, the newest first; each try is told, and what came
 * of it is kept for damaged.txt and for the next look, which does not try again.
 *
 * A backup has its records under the same keys. A number of an inode is never given twice, so a record of the same
 * number and generation is of the same file; which moment it is of is told with the result.
 */
#include "fs/core/check_rescue.h"

#include "fs/core/past.h"
#include "fs/core/pins.h"

#include <stdio.h>
#include <time.h>

#define CANDIDATES_MAX 64
#define CHAIN_MAX 8 /* a session, its workflow, its user, users/: and some more where something is wrong */
#define NOTHING "; no snapshot or backup holds it"

struct candidate {
	int64_t time;
	const struct check_source *source; /* NULL: a snapshot */
	uint64_t pin;
	bool unreadable;
	struct buf record; /* as the snapshot sees it */
};

/* ---- what is remembered ---------------------------------------------------------------------- */

struct check_note *rescue_note(const struct check *c, uint64_t ino, uint8_t kind, uint64_t part)
{
	struct check_memory *memory = c->options->memory;

	for (size_t at = 0, i; memory && (i = ino_index_next(&memory->index, ino, &at)) != SIZE_MAX;) {
		struct check_note *note = LIST_AT(&memory->notes, struct check_note, i);
		if (note->kind == kind && note->part == part)
			return note;
	}
	return NULL;
}

const char *rescue_summary(const struct check *c, uint64_t ino)
{
	struct check_memory *memory = c->options->memory;
	size_t at = 0, i = memory ? ino_index_next(&memory->index, ino, &at) : SIZE_MAX;

	return i == SIZE_MAX ? NULL : (const char *)LIST_AT(&memory->notes, struct check_note, i)->summary.data;
}

void check_memory_release(struct check_memory *memory)
{
	for (size_t i = 0; i < memory->notes.n; i++)
		buf_release(&LIST_AT(&memory->notes, struct check_note, i)->summary);
	free(memory->notes.items);
	ino_index_release(&memory->index);
	*memory = (struct check_memory){0};
}

/* ---- snapshots ------------------------------------------------------------------------------- */

/* The containers that this one lies in, itself first. */
static unsigned chain_of(struct check *c, uint32_t container, uint32_t chain[CHAIN_MAX])
{
	_cleanup_copy_ struct inode_copy copy = {0};
	uint32_t domain;
	unsigned n = 0;

	while (n < CHAIN_MAX) {
		chain[n++] = container;
		if (mend_load(c, (uint64_t)container << 8, &copy) < 0 || !copy.rec.parent ||
			!place_of(c, copy.rec.parent, &domain, &container))
			break;
	}
	return n;
}

/* The newest snapshot that sees what was there from epoch @from to @until, one of the places around it if there is. */
static const struct pin_row *pin_seeing(struct check *c, uint64_t from, uint64_t until,
	const uint32_t *chain, unsigned n)
{
	const struct pin_row *best = NULL;
	bool best_covers = false;

	for (size_t i = 0; i < c->pins.n; i++) {
		const struct pin_row *pin = LIST_AT(&c->pins, struct pin_row, i);
		bool covers = false;

		if (pin->id <= from || pin->id > until)
			continue;
		for (unsigned k = 0; k < n; k++)
			covers |= chain[k] == pin->container;
		if (!best || (covers && !best_covers) ||
			(covers == best_covers && pin->id > best->id)) {
			best = pin;
			best_covers = covers;
		}
	}
	return best;
}

static void pin_name(struct check *c, uint64_t id, struct buf *ret_name)
{
	_cleanup_buf_ struct buf value = {0};

	for (size_t i = 0; i < c->pins.n; i++) {
		const struct pin_row *pin = LIST_AT(&c->pins, struct pin_row, i);
		struct key key = key_make(pin->domain, pin->container, KEY_SNAPSHOT, 0);

		if (pin->id != id)
			continue;
		key_add_u64(&key, id);
		if (check_get(c, KV_META, &key, &value) == 0 && value.len > 9)
			buf_printf(ret_name, "snapshot %.*s", (int)(value.len - 9),
				(const char *)value.data + 9);
		else
			buf_printf(ret_name, "snapshot %llu", (unsigned long long)id);
	}
}

/* ---- candidates ------------------------------------------------------------------------------ */

static int add_pin(struct list *all, const struct pin_row *pin, struct buf *record)
{
	struct candidate *candidate;

	if (!pin || all->n == CANDIDATES_MAX)
		return 0;
	for (size_t i = 0; i < all->n; i++)
		if (LIST_AT(all, struct candidate, i)->pin == pin->id)
			return 0;
	candidate = LIST_ADD(all, struct candidate);
	if (!candidate)
		return -ENOMEM;
	candidate->time = pin->taken;
	candidate->pin = pin->id;
	candidate->unreadable = !record;
	if (record) {
		candidate->record = *record;
		*record = (struct buf){0};
	}
	return 0;
}

/* Versions in the history. What of it cannot be read ends them: there is nothing to be had then. */
static int gather_versions(struct check *c, const struct rescue *want, struct list *all)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	uint32_t chain[CHAIN_MAX];
	unsigned n = chain_of(c, get_be32(want->prefix.bytes + 4), chain);
	int r = kv_iter_open(c->kv, NULL, c->txn, KV_HISTORY, want->prefix.bytes, want->prefix.len, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		uint64_t until, from;
		int opened;

		if (len < want->prefix.len + VERSION_TAIL)
			continue;
		until = get_be64(key + len - VERSION_TAIL);
		from = get_be64(key + len - 8);
		opened = kv_iter_value(it, &value);
		if (opened == -ENOMEM)
			return opened;
		if (opened == 0 && (!value.len || (want->match && !want->match(want->arg, &value))))
			continue;
		if (opened < 0 && want->match)
			continue;
		if (add_pin(all, pin_seeing(c, from, until, chain, n), opened < 0 ? NULL : &value) < 0)
			return -ENOMEM;
	}
	if (want->live && c->newest_pin > want->live_epoch) {
		if (buf_set(&value, want->live->data, want->live->len) < 0)
			return -ENOMEM;
		return add_pin(all, pin_seeing(c, want->live_epoch, UINT64_MAX, chain, n), &value);
	}
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->time != y->time)
		return x->time > y->time ? -1 : 1;
	return x->pin > y->pin ? -1 : x->pin < y->pin;
}

static int gather(struct check *c, const struct rescue *want, struct list *all)
{
	bool snapshots = want->from == RESCUE_ANYWHERE || want->from == RESCUE_SNAPSHOTS;
	size_t sources = want->from == RESCUE_SNAPSHOTS ? 0 : c->options->n_sources;
	int r = snapshots ? gather_versions(c, want, all) : 0;

	for (size_t i = 0; r == 0 && i < sources; i++) {
		struct candidate *candidate = LIST_ADD(all, struct candidate);
		if (!candidate)
			return -ENOMEM;
		candidate->source = &c->options->sources[i];
		candidate->time = candidate->source->time;
	}
	if (all->n)
		qsort(all->items, all->n, sizeof(struct candidate), newest_first);
	return r;
}

/* ---- tries ----------------------------------------------------------------------------------- */

static int try_family(struct check *c, const struct rescue *want, struct kv *kv, enum kv_family family,
	const char **ret_reason)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	int r = kv_iter_open(kv, NULL, NULL, family, want->prefix.bytes, want->prefix.len, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		int opened = kv_iter_value(it, &value);

		if (opened == -ENOMEM)
			return opened;
		if (opened < 0 && !want->match)
			*ret_reason = RESCUE_DAMAGED;
		if (opened < 0 || (want->match && !want->match(want->arg, &value)))
			continue;
		*ret_reason = RESCUE_DAMAGED;
		return want->use(c, kv, &value, want->arg, ret_reason);
	}
	if (r < 0)
		*ret_reason = RESCUE_DAMAGED;
	return RESCUE_NOT;
}

static int try_backup(struct check *c, const struct rescue *want, const struct check_source *source,
	const char **ret_reason)
{
	struct kv *kv;
	int r = source->open(source->arg, &kv, ret_reason);

	if (r < 0)
		return r == -ENOMEM ? r : RESCUE_NOT;
	*ret_reason = "it is not there";
	r = try_family(c, want, kv, KV_META, ret_reason);
	if (r == RESCUE_NOT && want->from == RESCUE_BACKUPS_PAST)
		r = try_family(c, want, kv, KV_HISTORY, ret_reason);
	return r;
}

static void moment(int64_t seconds, char text[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		strcpy(text, "?");
}

/* What came of one try goes into the summary, and to who listens. */
static void tell_try(struct check *c, const struct rescue *want, const struct candidate *candidate,
	const char *reason, struct buf *summary, bool quiet)
{
	const struct check_sink *sink = &c->options->sink;
	_cleanup_buf_ struct buf name = {0};
	char when[32];

	if (candidate->source)
		buf_printf(&name, "backup %s", candidate->source->name);
	else
		pin_name(c, candidate->pin, &name);
	if (buf_append(&name, "", 1) < 0)
		return;
	moment(candidate->time, when);
	if (reason)
		buf_printf(summary, "; %s of %s: %s", (const char *)name.data, when, reason);
	else
		snprintf(c->rescued, sizeof c->rescued, "; taken from %.200s of %s", (const char *)name.data, when);
	if (!reason)
		c->taken_from = candidate->source;
	quiet = (quiet && reason) ||
		(want->told && candidate->source && candidate->time >= want->told->time);
	if (sink->tried && !quiet)
		sink->tried(sink->arg, &(struct check_try){
			.path = check_path(c, want->dir, want->name, want->ino), .ino = want->ino,
			.source = (const char *)name.data, .time = candidate->time, .reason = reason});
}

static int try_all(struct check *c, const struct rescue *want, struct list *all, struct buf *summary, bool quiet)
{
	int r = RESCUE_NOT;

	for (size_t i = 0; i < all->n && r == RESCUE_NOT; i++) {
		const struct candidate *candidate = LIST_AT(all, struct candidate, i);
		const char *reason = RESCUE_DAMAGED;

		c->tried_pin = candidate->pin;
		if (candidate->source)
			r = try_backup(c, want, candidate->source, &reason);
		else if (!candidate->unreadable)
			r = want->use(c, c->kv, &candidate->record, want->arg, &reason);
		if (r == RESCUE_WAITS || r < 0)
			break;
		tell_try(c, want, candidate, r == RESCUE_TAKEN ? NULL : reason, summary, quiet);
	}
	return r;
}

int rescue_try(struct check *c, const struct rescue *want)
{
	struct check_memory *memory = c->options->memory;
	struct check_note *note = rescue_note(c, want->ino, want->prefix.bytes[8], want->part);
	_cleanup_buf_ struct buf summary = {0};
	struct list all = {0};
	int r;

	strcpy(c->rescued, NOTHING);
	if (!memory || (note && note->state != RESCUE_WAITS && !note->saved))
		return RESCUE_NOT;
	r = gather(c, want, &all);
	if (r == 0)
		r = try_all(c, want, &all, &summary, note != NULL);
	for (size_t i = 0; i < all.n; i++)
		buf_release(&LIST_AT(&all, struct candidate, i)->record);
	free(all.items);
	if (r < 0)
		return r;
	if (!note) {
		note = LIST_ADD(&memory->notes, struct check_note);
		if (note && ino_index_add(&memory->index, want->ino, memory->notes.n - 1) < 0)
			note = NULL;
	}
	if (!note || buf_printf(&summary, "%s", r == RESCUE_WAITS ? "" : c->rescued) < 0 ||
		buf_append(&summary, "", 1) < 0)
		return -ENOMEM;
	buf_release(&note->summary);
	*note = (struct check_note){.ino = want->ino, .kind = want->prefix.bytes[8],
		.part = want->part, .state = (uint8_t)r, .summary = summary};
	summary = (struct buf){0};
	return r;
}

const char *rescue_said(const struct check *c)
{
	return c->options->memory ? c->rescued : "";
}

/* ---- for struct check_rules ------------------------------------------------------------------ */

struct fetch {
	int (*use)(void *arg, const struct buf *value);
	void *arg;
};

static int use_row(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	const struct fetch *fetch = arg;
	int r = fetch->use(fetch->arg, record);

	(void)c;
	(void)kv;
	if (r == -ENOMEM)
		return r;
	*ret_reason = RESCUE_DAMAGED;
	return r == 0 ? RESCUE_TAKEN : RESCUE_NOT;
}

int check_rescue(struct check *c, const struct key *key, int (*use)(void *arg, const struct buf *value), void *arg)
{
	struct fetch fetch = {.use = use, .arg = arg};
	const struct rescue want = {.prefix = *key, .ino = (uint64_t)c->container << 8, .use = use_row, .arg = &fetch};
	int r = c->options->mend ? rescue_try(c, &want) : RESCUE_NOT;

	return r < 0 ? r : r == RESCUE_TAKEN;
}
