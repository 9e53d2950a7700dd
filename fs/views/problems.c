#include "fs/views/problems.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct looked_at {
	uint64_t ino;
	uint8_t id[16];
	char *path;
};
struct list {
	struct looked_at *at;
	size_t n;
};

static void list_release(struct list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->at[i].path);
	free(list->at);
}

/* The catalogue is locked. */
static int add(struct list *list, const struct catalogue_session *session)
{
	struct buf path = {0};
	int r = catalogue_path(session, &path);

	if (r == 0)
		r = buf_append(&path, "", 1);
	if (r < 0) {
		buf_release(&path);
		return r;
	}
	struct looked_at *one = &list->at[list->n++];
	*one = (struct looked_at){.ino = session->ino, .path = (char *)path.data};
	memcpy(one->id, session->id, sizeof one->id);
	return 0;
}

/* Copied, so that nothing is read with the catalogue locked. */
static int list_take(struct catalogue *c, const struct viewer *who, struct list *ret_list, uint64_t *ret_contents)
{
	int r = catalogue_lock(c);

	if (r < 0)
		return r;
	*ret_contents = c->contents;
	ret_list->at = calloc(c->by_activity.n + 1, sizeof *ret_list->at);
	r = ret_list->at ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < c->by_activity.n; i++)
		if (catalogue_visible(c->by_activity.at[i], who))
			r = add(ret_list, c->by_activity.at[i]);
	catalogue_unlock(c);
	return r;
}

struct telling {
	struct sink *out;
	const struct looked_at *session;
	size_t n;
};

static void put(void *arg, const char *file, const char *reason)
{
	struct telling *t = arg;
	char id[UUID_LEN + 1];

	uuid_format(t->session->id, id);
	sink_text(t->out, t->n++ == 0 ? "\n{\"path\":" : ",\n{\"path\":");
	sink_json_string(t->out, t->session->path);
	sink_printf(t->out, ",\"session_id\":\"%s\",\"file\":", id);
	sink_json_string(t->out, file);
	sink_text(t->out, ",\"reason\":");
	sink_json_string(t->out, reason);
	sink_text(t->out, "}");
}

int problems_render(struct sessions *s, struct catalogue *c, const struct viewer *who, struct sink *out,
	uint64_t *ret_contents)
{
	struct telling telling = {.out = out};
	struct list list = {0};
	int r = list_take(c, who, &list, ret_contents);

	sink_text(out, "{\"problems\":[");
	for (size_t i = 0; r == 0 && i < list.n; i++) {
		telling.session = &list.at[i];
		(void)session_problems(s, list.at[i].ino, put, &telling); /* one that cannot be read hides no other */
	}
	sink_printf(out, "],\"total\":%zu}\n", telling.n);
	list_release(&list);
	return r < 0 ? r : out->error;
}
