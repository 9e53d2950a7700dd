#include "fs/views/tally.h"

#include "fs/session/brief.h"
#include "kv/cleanup.h"

#include <errno.h>

DEFINE_CLEANUP(struct transcript *, transcript_free);

#define HOUR_MS 3600000

const uint64_t tally_lengths[TALLY_LENGTHS - 1] = {100, 300, 1000, 3000, 10000, 100000, 1000000};
const uint64_t tally_waits[TALLY_WAITS - 1] = {1000, 5000, 15000, 60000, 300000, 3600000, 86400000};

static unsigned class_of(const uint64_t *bounds, unsigned n, uint64_t value)
{
	unsigned i = 0;

	while (i < n - 1 && value >= bounds[i])
		i++;
	return i;
}

static void add_answer(const struct transcript_message *question, const struct transcript_message *answer,
	struct tally *t)
{
	if (question->unreadable || question->role != MESSAGE_USER || answer->role != MESSAGE_ASSISTANT ||
		answer->time < question->time)
		return;
	uint64_t wait = (uint64_t)answer->time - (uint64_t)question->time;
	t->answers++;
	t->waited += wait;
	t->waits[class_of(tally_waits, TALLY_WAITS, wait)]++;
}

static void add_message(const struct transcript_message *m, struct tally *t)
{
	uint64_t length = m->size > m->header ? m->size - m->header : 0;
	int64_t hour = m->time / HOUR_MS - (m->time % HOUR_MS < 0);

	t->roles[(unsigned)m->role % TALLY_ROLES]++;
	t->bytes += length;
	t->lengths[class_of(tally_lengths, TALLY_LENGTHS, length)]++;
	t->hours[(hour % 24 + 24) % 24]++;
}

void tally_of(const struct transcript *t, struct tally *ret_tally)
{
	struct tally tally = {0};

	for (size_t i = 0; i < t->n; i++) {
		if (t->messages[i].unreadable)
			continue;
		add_message(&t->messages[i], &tally);
		if (i > 0)
			add_answer(&t->messages[i - 1], &t->messages[i], &tally);
	}
	*ret_tally = tally;
}

/* Every member is a count. */
void tally_add(struct tally *sum, const struct tally *t)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)t;

	for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
		to[i] += from[i];
}

uint64_t tally_messages(const struct tally *t)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < TALLY_ROLES; i++)
		n += t->roles[i];
	return n;
}

int tally_take(struct sessions *s, uint64_t session, uint64_t workflow, struct session_walk *walk,
	struct tally *ret_tally)
{
	_cleanup_(transcript_freep) struct transcript *t = NULL;
	struct transcript_range all = {.count = UINT32_MAX, .brief = true, .as_is = true};
	int r = walk ? session_brief_messages(s, session, workflow, walk, &t) : -EBUSY;

	if (r == -EBUSY)
		r = transcript_open(s, session, &all, &t);

	if (r == 0)
		tally_of(t, ret_tally);
	return r;
}
