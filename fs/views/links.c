#include "fs/views/links.h"

#include "fs/session/timestamp.h"
#include "fs/views/link_name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KIND_SHIFT 50
#define WHAT_SHIFT 48
#define VALUE_MASK ((1ull << WHAT_SHIFT) - 1)
#define DAY_MS 86400000
#define DAY_ZERO (1ll << 40) /* days before 1970 are above 0, too */

static const struct {
	const char *name;
	bool grouped;
} views[LINK_KINDS] = {
	[LINKS_ROOT] = {"", true},
	[LINKS_LATEST] = {"recent", false},
	[LINKS_STATE] = {"state", true},
	[LINKS_DAY] = {"day", true},
	[LINKS_WORKFLOW] = {"workflow", true},
	[LINKS_AGENT] = {"agent", true},
	[LINKS_INTERRUPTED] = {"interrupted", false},
	[LINKS_ID] = {"id", false},
};

static const char *const states[] = {"active", "idle", "archived", "deleted"};
#define STATES_SHOWN 3 /* of them, also where no session has it */
#define STATES_KNOWN (sizeof states / sizeof *states)

uint64_t link_ino(const struct link_place *p)
{
	return TREE_BASE(LINKS_TREE) | (uint64_t)p->kind << KIND_SHIFT | (uint64_t)p->what << WHAT_SHIFT | p->value;
}

bool link_place_of(uint64_t ino, struct link_place *ret_place)
{
	uint64_t own = ino & ((1ull << TREE_BITS) - 1), kind = own >> KIND_SHIFT, what = own >> WHAT_SHIFT & 3;

	if (kind >= LINK_KINDS || what > LINKS_LINK)
		return false;
	*ret_place = (struct link_place){(enum link_kind)kind, (enum link_what)what, own & VALUE_MASK};
	return true;
}

const char *link_view_name(enum link_kind kind)
{
	return views[kind].name;
}

bool link_view_grouped(enum link_kind kind)
{
	return views[kind].grouped;
}

/* ---- directories of a view ----------------------------------------------------------------------- */

static int64_t day_of(int64_t ms)
{
	return ms / DAY_MS - (ms % DAY_MS < 0);
}

bool link_group_of(enum link_kind kind, const struct catalogue_session *s, uint64_t *ret_value)
{
	switch (kind) {
	case LINKS_STATE:
		for (uint64_t i = 0; i < STATES_KNOWN; i++)
			if (strcmp(states[i], s->state) == 0) {
				*ret_value = i;
				return true;
			}
		return false;
	case LINKS_DAY:
		*ret_value = (uint64_t)(day_of(s->activity) + DAY_ZERO);
		return true;
	case LINKS_WORKFLOW:
		*ret_value = s->workflow->hash;
		return true;
	case LINKS_AGENT:
		*ret_value = s->agent_hash;
		return s->agent != NULL;
	default:
		return false;
	}
}

static void day_name(int64_t day, char ret_name[LINKS_NAME])
{
	char text[TIMESTAMP_LEN + 1];

	timestamp_format(day * DAY_MS, text);
	snprintf(ret_name, LINKS_NAME, "%.10s", text);
}

void link_group_name(enum link_kind kind, const struct catalogue_session *s, char ret_name[LINKS_NAME])
{
	if (kind == LINKS_DAY)
		day_name(day_of(s->activity), ret_name);
	else
		snprintf(ret_name, LINKS_NAME, "%s",
			kind == LINKS_STATE	 ? s->state
			: kind == LINKS_WORKFLOW ? s->workflow->name
						 : s->agent_link);
}

static int find_day(const char *name, uint64_t *ret_value)
{
	char canonical[LINKS_NAME];
	struct timespec ts;

	if (timestamp_parse(name, strlen(name), &ts) < 0)
		return -ENOENT;
	int64_t day = day_of(timestamp_ms(&ts));
	day_name(day, canonical);
	*ret_value = (uint64_t)(day + DAY_ZERO);
	return strcmp(name, canonical) == 0 ? 0 : -ENOENT;
}

int link_group_find(struct catalogue *c, enum link_kind kind, const char *name, uint64_t *ret_value)
{
	if (kind == LINKS_DAY)
		return find_day(name, ret_value);
	if (kind == LINKS_WORKFLOW || kind == LINKS_AGENT)
		return catalogue_hash(c->sessions, name, ret_value);
	for (uint64_t i = 0; i < STATES_KNOWN; i++)
		if (strcmp(states[i], name) == 0) {
			*ret_value = i;
			return 0;
		}
	return -ENOENT;
}

const char *link_group_fixed(enum link_kind kind, uint64_t value)
{
	return kind == LINKS_STATE && value < STATES_SHOWN ? states[value] : NULL;
}

bool link_holds(const struct link_place *p, const struct catalogue_session *s)
{
	uint64_t value;

	if (p->what == LINKS_GROUP)
		return link_group_of(p->kind, s, &value) && value == p->value;
	return p->kind != LINKS_INTERRUPTED || s->interrupted;
}

/* ---- names of links ------------------------------------------------------------------------------ */

size_t link_latest(struct catalogue *c, const struct viewer *who, struct catalogue_session *ret_at[LINKS_RECENT])
{
	size_t n = 0;

	for (size_t i = 0; i < c->by_activity.n && n < LINKS_RECENT; i++)
		if (catalogue_visible(c->by_activity.at[i], who))
			ret_at[n++] = c->by_activity.at[i];
	return n;
}

static bool same_name(enum link_kind kind, const struct catalogue_session *a, const struct catalogue_session *b)
{
	return kind == LINKS_ID ? memcmp(a->id, b->id, 16) == 0 : strcmp(a->link, b->link) == 0;
}

/* Of those in @p that are called like @like the one with the lowest number; NULL: none. */
static struct catalogue_session *first_of(struct catalogue *c, const struct viewer *who, const struct link_place *p,
	const struct catalogue_session *like)
{
	const struct order *o = p->kind == LINKS_ID ? &c->by_id : &c->by_link;
	struct catalogue_session from = *like;

	from.ino = 0;
	for (size_t i = order_find(o, &from); i < o->n && same_name(p->kind, o->at[i], like); i++)
		if (link_holds(p, o->at[i]) && catalogue_visible(o->at[i], who))
			return o->at[i];
	return NULL;
}

/* @first: who has the name without a number. */
static void plain_name(enum link_kind kind, const struct catalogue_session *s, const struct catalogue_session *first,
	char ret_name[LINKS_NAME])
{
	char id[UUID_LEN + 1];

	uuid_format(s->id, id);
	const char *base = kind == LINKS_ID ? id : s->link;
	/* A title that ends like a number of ours gets one as well, so that no two names are ever the same. */
	if (link_name_number(base) == 0 && first == s)
		snprintf(ret_name, LINKS_NAME, "%s", base);
	else
		snprintf(ret_name, LINKS_NAME, "%s ~%" PRIu64, base, s->ino >> 8);
}

static void place_name(const struct catalogue_session *s, size_t place, size_t n, char ret_name[LINKS_NAME])
{
	snprintf(ret_name, LINKS_NAME, "%0*zu %s", n < 100 ? 2 : 3, place + 1, s->link);
}

void link_name(struct catalogue *c, const struct viewer *who, const struct link_place *p, struct link_namer *namer,
	const struct catalogue_session *s, char ret_name[LINKS_NAME])
{
	size_t place = 0;

	if (p->kind != LINKS_LATEST) {
		if (!namer->first || !same_name(p->kind, namer->first, s))
			namer->first = first_of(c, who, p, s);
		plain_name(p->kind, s, namer->first, ret_name);
		return;
	}
	if (!namer->have_latest)
		namer->n = link_latest(c, who, namer->latest);
	namer->have_latest = true;
	while (place < namer->n && namer->latest[place] != s)
		place++;
	place_name(s, place, namer->n, ret_name);
}

static struct catalogue_session *find_latest(struct catalogue *c, const struct viewer *who, const char *name)
{
	struct catalogue_session *latest[LINKS_RECENT];
	size_t n = link_latest(c, who, latest);
	unsigned long place = strtoul(name, NULL, 10);
	char canonical[LINKS_NAME];

	if (place < 1 || place > n)
		return NULL;
	place_name(latest[place - 1], place - 1, n, canonical);
	return strcmp(name, canonical) == 0 ? latest[place - 1] : NULL;
}

struct catalogue_session *link_find(struct catalogue *c, const struct viewer *who, const struct link_place *p,
	const char *name)
{
	struct catalogue_session like = {.link = (char *)(uintptr_t)name}, *s;
	char canonical[LINKS_NAME];

	if (p->kind == LINKS_LATEST)
		return find_latest(c, who, name);
	uint32_t number = link_name_number(name);
	if (number)
		s = catalogue_session(c, (uint64_t)number << 8);
	else if (p->kind == LINKS_ID && uuid_parse(name, strlen(name), like.id) < 0)
		return NULL;
	else
		s = first_of(c, who, p, &like);
	if (!s || !link_holds(p, s) || !catalogue_visible(s, who))
		return NULL;
	plain_name(p->kind, s, first_of(c, who, p, s), canonical);
	return strcmp(name, canonical) == 0 ? s : NULL;
}
