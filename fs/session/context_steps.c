/*
 * context_steps.c: what items mean: whether they are open, which steps there are.
 */
#include "fs/session/context.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_word(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcasecmp(word, *words) == 0)
			return true;
	return false;
}

bool context_item_open(const struct context_item *item)
{
	static const char *const over[] = {"done", "completed", "complete", "finished", "closed", "resolved",
		"fixed", "cancelled", "canceled", "skipped", "dropped", "passed", NULL};
	return !item->status || !is_word(item->status, over);
}

bool context_word_is_bad(const char *word)
{
	static const char *const bad[] = {"failed", "failing", "fail", "failure", "error", "broken", "blocked",
		"critical", "stuck", "red", "down", NULL};
	return is_word(word, bad);
}

bool context_item_named(const struct context_item *item, const char *name)
{
	return (item->id && strcmp(item->id, name) == 0) || (item->text && strcmp(item->text, name) == 0);
}

size_t context_items_open(const struct context_items *items)
{
	size_t n = 0;
	for (size_t i = 0; i < items->n; i++)
		n += context_item_open(&items->at[i]);
	return n;
}

const struct context_item *context_step(const struct context *c, size_t place)
{
	size_t current = c->step.text ? 1 : 0;

	if (place == 0)
		return NULL;
	place--;
	if (place < c->completed.n)
		return &c->completed.at[place];
	place -= c->completed.n;
	if (place < current)
		return &c->step;
	place -= current;
	return place < c->next.n ? &c->next.at[place] : NULL;
}

const struct context_item *context_find_step(const struct context *c, const char *name, size_t *ret_place)
{
	const struct context_item *step;
	char *end;

	for (size_t place = 1; (step = context_step(c, place)); place++)
		if (context_item_named(step, name)) {
			*ret_place = place;
			return step;
		}
	unsigned long place = strtoul(name, &end, 10);
	if (name[0] < '0' || name[0] > '9' || *end)
		return NULL;
	*ret_place = place;
	return context_step(c, place);
}
