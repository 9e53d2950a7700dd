/*
 * Group commit. A transaction that is ready to be written joins the queue. The first one there
 * leads: it takes all that have queued, checks each for conflicts, folds the valid ones into one
 * batch with one commit row, writes it, tells the others, and hands the lead to whoever has queued
 * meanwhile. So there is one writer at a time, with no thread of its own, and a load of many small
 * transactions costs one log record and one commit row per group.
 *
 * Conflicts. conflict[hash of family and key] holds the last sequence that wrote such a key. A
 * transaction is refused if any key that it read or wrote stands there with a sequence above its
 * start. Within a group the table is updated as each is accepted, so that the group's members are
 * checked against each other as well. Two keys may share a slot: a false conflict, the caller
 * repeats.
 *
 * Failure. When the engine refuses the batch all of the group get its error, and nothing in memory
 * has advanced. The slots that were stamped are set back to the last published sequence: left above
 * it they would refuse every later transaction on those keys, whose start cannot reach them. An
 * engine that is broken by it is opened anew (heal.c), and commits begin anew.
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"

int kv_commit_init(struct kv *kv, const struct kv_commit_row *row)
{
	struct kv_commit *c = &kv->commit;

	c->conflict = calloc(KV_CONFLICT_SLOTS, sizeof *c->conflict);
	if (!c->conflict)
		return -ENOMEM;
	c->queue_end = &c->queue;
	c->sum = row->sum;
	c->line = row->line;
	atomic_store(&c->published, row->sequence);
	return 0;
}

void kv_commit_release(struct kv *kv)
{
	struct kv_commit *c = &kv->commit;

	free(c->conflict);
	free(c->writes);
	free(c->staged);
	buf_release(&c->rows);
	c->conflict = NULL;
	c->writes = NULL;
	c->staged = NULL;
}

static uint64_t *conflict_slot(struct kv_commit *c, const struct txn_record *record)
{
	return &c->conflict[record->hash & (KV_CONFLICT_SLOTS - 1)];
}

static bool conflicts(struct kv_commit *c, const struct kv_txn *txn)
{
	for (size_t i = 0; i < txn->records_n; i++)
		if (*conflict_slot(c, txn->records[i]) > txn->start)
			return true;
	return false;
}

static void stamp(struct kv_commit *c, const struct kv_txn *txn, uint64_t sequence)
{
	for (size_t i = 0; i < txn->records_n; i++)
		if (txn_record_emitted(txn->records[i]))
			*conflict_slot(c, txn->records[i]) = sequence;
}

static int writes_reserve(struct kv_commit *c, size_t more)
{
	size_t cap = 2 * (c->writes_n + more);
	struct kv_write *writes;

	if (c->writes_n + more <= c->writes_cap)
		return 0;
	writes = reallocarray(c->writes, cap, sizeof *writes);
	if (!writes)
		return -ENOMEM;
	c->writes = writes;
	c->writes_cap = cap;
	return 0;
}

static int add_writes(struct kv_commit *c, const struct kv_txn *txn)
{
	int r = writes_reserve(c, txn->writes);

	if (r < 0)
		return r;
	for (size_t i = 0; i < txn->records_n; i++) {
		const struct txn_record *record = txn->records[i];
		struct kv_write *w = &c->writes[c->writes_n];

		if (!txn_record_emitted(record))
			continue;
		*w = (struct kv_write){
			.family = record->family, .key = record->key, .key_len = record->key_len};
		if (record->write == TXN_PUT) {
			w->value = txn->sealed.data + record->sealed_at;
			w->value_len = record->sealed_len;
		}
		c->writes_n++;
	}
	return 0;
}

/*
 * Appends the sealed commit row and the rows of the domains that left it to the batch. Keys and
 * sealed values lie one after the other in c->rows; as it may move while it grows, the pointers
 * come last.
 */
static int add_rows(struct kv *kv, struct kv_commit_row *row)
{
	struct kv_commit *c = &kv->commit;
	_cleanup_free_ struct kv_count *evicted = NULL;
	_cleanup_free_ size_t *ends = NULL;
	uint8_t key[KV_ROW_KEY_BYTES], text[KV_COMMIT_ROW_MAX];
	size_t evicted_n, at = 0;
	int r;

	evicted = reallocarray(NULL, c->staged_n + 1, sizeof *evicted);
	ends = reallocarray(NULL, c->staged_n + 1, sizeof *ends);
	if (!evicted || !ends)
		return -ENOMEM;
	evicted_n = kv_counters_plan(kv, row, evicted);
	r = writes_reserve(c, evicted_n + 1);
	c->rows.len = 0;
	for (size_t i = 0; r == 0 && i <= evicted_n; i++) {
		size_t len = KV_COUNTERS_ROW_BYTES;
		if (i < evicted_n) {
			kv_row_key(evicted[i].domain, KV_ROW_COUNTERS, key);
			kv_counters_row_encode(&evicted[i], text);
		} else {
			kv_row_key(0, KV_ROW_COMMIT, key);
			len = kv_commit_row_encode(row, text);
		}
		r = buf_append(&c->rows, key, sizeof key);
		if (r == 0)
			r = seal_value(&kv->seal, kv->own_key, KV_SYS, key, sizeof key, text, len,
				&c->rows);
		ends[i] = c->rows.len;
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i <= evicted_n; i++) {
		const uint8_t *p = c->rows.data + at;
		c->writes[c->writes_n++] = (struct kv_write){.family = KV_SYS,
			.key = p,
			.key_len = KV_ROW_KEY_BYTES,
			.value = p + KV_ROW_KEY_BYTES,
			.value_len = ends[i] - at - KV_ROW_KEY_BYTES};
		at = ends[i];
	}
	return 0;
}

static int write_batch(struct kv *kv, struct kv_commit_row *row)
{
	struct kv_commit *c = &kv->commit;
	size_t bytes = 0;
	int r = kv_health_check(kv);

	if (r == 0)
		r = kv_counters_reserve(kv);
	if (r == 0)
		r = add_rows(kv, row);
	if (r < 0)
		return r;
	r = kv->ops->write(kv->engine, c->writes, c->writes_n);
	if (r < 0 && kv->ops->broken(kv->engine)) {
		kv_health_note_undo(kv, c->writes, c->writes_n);
		kv_health_fail(kv, r);
		return kv_health_check(kv);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->writes_n; i++)
		bytes += c->writes[i].key_len + c->writes[i].value_len;
	kv_space_note(kv, bytes);
	return 0;
}

/* Leader only, without commit.lock. Sets the result of each of the group. */
static void commit_group(struct kv *kv, struct kv_txn *group)
{
	struct kv_commit *c = &kv->commit;
	uint64_t published = atomic_load(&c->published);
	struct kv_commit_row row = {.sequence = published, .line = c->line, .sum = c->sum};
	int r = 0;

	c->writes_n = 0;
	c->staged_n = 0;
	for (struct kv_txn *t = group; t; t = t->next) {
		t->result = conflicts(c, t) ? -EAGAIN : 0;
		if (t->result < 0)
			continue;
		t->sequence = ++row.sequence;
		stamp(c, t, t->sequence);
		row.sum += t->sum;
		if (r == 0)
			r = add_writes(c, t);
		if (r == 0)
			r = kv_counters_stage(kv, t);
	}
	if (row.sequence == published)
		return;
	if (r == 0)
		r = write_batch(kv, &row);
	if (r == 0) {
		c->sum = row.sum;
		kv_counters_install(kv, &row);
		for (struct kv_txn *t = group; t; t = t->next)
			if (t->result == 0)
				kv_recent_note(kv, t);
		atomic_store(&c->published, row.sequence);
		kv_flusher_note(kv);
		return;
	}
	for (struct kv_txn *t = group; t; t = t->next) {
		if (t->result < 0)
			continue;
		t->result = r;
		stamp(c, t, published);
	}
}

int kv_commit_line(struct kv *kv, uint16_t line)
{
	struct kv_commit *c = &kv->commit;
	struct kv_commit_row row = {
		.sequence = atomic_load(&c->published) + 1, .line = line, .sum = c->sum};
	int r;

	c->writes_n = 0;
	c->staged_n = 0;
	r = write_batch(kv, &row);
	if (r < 0)
		return r;
	c->line = line;
	atomic_store(&c->published, row.sequence);
	return 0;
}

/* Under commit.lock. The group's members may be gone as soon as the lock is: nothing after it. */
static void finish_group(struct kv_commit *c, struct kv_txn *group, const struct kv_txn *leader)
{
	struct kv_txn *next;

	for (struct kv_txn *t = group; t; t = next) {
		next = t->next;
		t->state = TXN_DONE;
		if (t != leader)
			pthread_cond_signal(&t->wake);
	}
	c->led = c->queue != NULL;
	if (c->led) {
		c->queue->state = TXN_LEADS;
		pthread_cond_signal(&c->queue->wake);
	}
}

int kv_commit_run(struct kv *kv, struct kv_txn *txn)
{
	struct kv_commit *c = &kv->commit;
	struct kv_txn *group;

	pthread_cond_init(&txn->wake, NULL);
	pthread_mutex_lock(&c->lock);
	txn->next = NULL;
	txn->state = c->led ? TXN_QUEUED : TXN_LEADS;
	c->led = true;
	*c->queue_end = txn;
	c->queue_end = &txn->next;
	while (txn->state == TXN_QUEUED)
		pthread_cond_wait(&txn->wake, &c->lock);
	if (txn->state == TXN_LEADS) {
		group = c->queue;
		c->queue = NULL;
		c->queue_end = &c->queue;
		pthread_mutex_unlock(&c->lock);
		commit_group(kv, group);
		pthread_mutex_lock(&c->lock);
		finish_group(c, group, txn);
	}
	pthread_mutex_unlock(&c->lock);
	pthread_cond_destroy(&txn->wake);
	return txn->result;
}

uint64_t kv_sequence(const struct kv *kv)
{
	return atomic_load(&((struct kv *)kv)->commit.published);
}
