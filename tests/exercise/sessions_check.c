#include "tests/exercise/sessions.h"

#include <cJSON.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

size_t sessions_read(struct run *run, const char *path, char ret_text[SESSION_TEXT])
{
	ssize_t n;
	int r = run->t->ops->open(run->t, 0, path, O_RDONLY, 0);
	ret_text[0] = '\0';
	if (r < 0) {
		run_fail(run, "open of %s: %s", path, strerror(-r));
		return 0;
	}
	n = run->t->ops->read(run->t, 0, 0, ret_text, SESSION_TEXT - 1);
	run->t->ops->close(run->t, 0);
	if (n < 0)
		run_fail(run, "read of %s: %s", path, strerror((int)-n));
	ret_text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

void sessions_write(struct run *run, const char *path, int flags, const char *text, size_t len)
{
	ssize_t n = 0;
	int r = run->t->ops->open(run->t, 0, path, O_WRONLY | O_CREAT | flags, 0644);
	if (r < 0) {
		run_fail(run, "open of %s to write: %s", path, strerror(-r));
		return;
	}
	if (len)
		n = run->t->ops->write(run->t, 0, -1, text, len);
	r = run->t->ops->close(run->t, 0);
	if (n != (ssize_t)len || r < 0)
		run_fail(run, "writing %s: %zd of %zu bytes, then %s", path, n, len, strerror(-r));
}

/* ---- what a message says --------------------------------------------------------------------- */

static size_t header_of(const struct message_model *m, bool *ret_user, int64_t *ret_tokens)
{
	const char *end, *at;
	*ret_user = true;
	*ret_tokens = -1;
	if (strncmp(m->text, "---\n", 4) || !(end = strstr(m->text + 4, "\n---\n")) ||
		!strncmp(m->text + 4, "{", 1))
		return 0;
	at = strstr(m->text, "\nrole: ");
	if (at && at < end)
		*ret_user = !strncmp(at + 7, "user", 4);
	at = strstr(m->text, "\ntokens: ");
	if (at && at < end)
		*ret_tokens = atoll(at + 9);
	return (size_t)(end - m->text) + 5;
}

/* Texts here are ASCII, so a code point is a byte. */
void sessions_parse(struct message_model *m)
{
	int64_t tokens;
	size_t header = header_of(m, &m->user, &tokens), len;
	const char *line = m->text + header;
	/* All that compose() dates are years old. */
	m->old = header > 0 && memmem(m->text, header, "\ntimestamp: ", 12);
	m->tokens = tokens >= 0 ? (uint64_t)tokens : (m->len - header + 3) / 4;
	line += strspn(line, "\n");
	len = strcspn(line, "\n");
	snprintf(m->title, sizeof m->title, "%.*s%s", (int)(len < 50 ? len : 50), line, len > 50 ? "..." : "");
}

const char *sessions_state(const struct session_model *s)
{
	bool old = s->n > 0;
	for (unsigned i = 0; i < s->n; i++)
		old &= s->messages[i].old;
	return old ? "archived" : "active";
}

void sessions_title(const struct session_model *s, char *ret_title)
{
	snprintf(ret_title, SESSION_TITLE, "Chat %.8s", s->id);
	for (unsigned i = s->n; i-- > 0;)
		if (s->messages[i].user && s->messages[i].title[0])
			strcpy(ret_title, s->messages[i].title);
	if (s->title[0])
		strcpy(ret_title, s->title);
}

/* ---- session.json ---------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
	return text ? text : "";
}

static double number_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

static void expect_text(struct run *run, unsigned which, const cJSON *o, const char *key, const char *expected)
{
	if (strcmp(text_of(o, key), expected))
		run_fail(run, "%s of session %s is \"%s\", expected \"%s\"", key, step_name(which), text_of(o, key),
			expected);
}

static void expect_count(struct run *run, unsigned which, const cJSON *o, const char *key, double expected)
{
	if (number_of(o, key) != expected)
		run_fail(run, "%s of session %s is %.0f, expected %.0f", key, step_name(which), number_of(o, key),
			expected);
}

/* Once seen it stays. */
static void expect_same(struct run *run, unsigned which, const cJSON *o, const char *key, char known[40])
{
	if (!known[0])
		snprintf(known, 40, "%s", text_of(o, key));
	expect_text(run, which, o, key, known);
}

static void compare_json(struct run *run, unsigned which, const cJSON *o)
{
	struct session_model *s = &run->sessions->s[which];
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(o, "metadata");
	const cJSON *agent = cJSON_GetObjectItemCaseSensitive(o, "agent");
	char title[SESSION_TITLE];
	double tokens = 0;
	expect_same(run, which, o, "session_id", s->id);
	expect_same(run, which, o, "created_at", s->created);
	sessions_title(s, title);
	for (unsigned i = 0; i < s->n; i++)
		tokens += (double)s->messages[i].tokens;
	if (!s->any_title)
		expect_text(run, which, o, "title", title);
	expect_text(run, which, o, "user_id", "u");
	expect_text(run, which, o, "state", s->state[0] ? s->state : sessions_state(s));
	expect_text(run, which, o, "copied_from", s->copied_from);
	expect_count(run, which, o, "message_count", s->n);
	expect_count(run, which, metadata, "total_tokens", tokens);
	expect_count(run, which, metadata, "mine", s->mine ? s->mine : -1);
	expect_text(run, which, agent, "current", s->agent);
	expect_count(run, which, agent, "switch_count", s->switches);
	if (cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(agent, "history")) != (int)s->switches)
		run_fail(run, "the history of agents has another length than switch_count");
	if (number_of(o, "version") < (double)s->version)
		run_fail(run, "version of session %s goes back from %llu to %.0f", step_name(which),
			(unsigned long long)s->version, number_of(o, "version"));
	s->version = (uint64_t)number_of(o, "version");
}

static void verify_json(struct run *run, unsigned which)
{
	struct sessions_model *m = run->sessions;
	char path[64];
	cJSON *o;
	snprintf(path, sizeof path, "%s/session.json", step_name(which));
	sessions_read(run, path, m->text);
	sessions_read(run, path, m->other);
	if (run->failed)
		return;
	if (strcmp(m->text, m->other))
		run_fail(run, "session.json of %s reads differently the second time", step_name(which));
	o = cJSON_Parse(m->text);
	if (o)
		compare_json(run, which, o);
	else
		run_fail(run, "session.json of %s is no JSON", step_name(which));
	cJSON_Delete(o);
}

/* ---- messages -------------------------------------------------------------------------------- */

struct found {
	struct session_model *s;
	struct run *run;
	unsigned n;
};

static void expect_message(void *arg, const char *name, ino_t ino, mode_t type)
{
	struct found *f = arg;
	unsigned number = (unsigned)atoi(name), i = 0;
	if (name[0] == '.')
		return;
	f->n++;
	while (i < f->s->n && f->s->messages[i].number != number)
		i++;
	if (i == f->s->n)
		run_fail(f->run, "a message that nobody wrote: %s", name);
}

static void verify_messages(struct run *run, unsigned which)
{
	struct session_model *s = &run->sessions->s[which];
	struct found f = {.s = s, .run = run};
	char path[64];
	snprintf(path, sizeof path, "%s/messages", step_name(which));
	int r = run->t->ops->list(run->t, path, expect_message, &f);
	if (r < 0 || f.n != s->n)
		run_fail(run, "%s holds %u messages, expected %u (%d)", path, f.n, s->n, r);
	for (unsigned i = 0; i < s->n && !run->failed; i++) {
		const struct message_model *m = &s->messages[i];
		snprintf(path, sizeof path, "%s/messages/%03u.md", step_name(which), m->number);
		if (sessions_read(run, path, run->sessions->text) != m->len ||
			memcmp(run->sessions->text, m->text, m->len))
			run_fail(run, "%s has other bytes than were written", path);
	}
}

void sessions_verify(struct run *run, unsigned which)
{
	struct session_model *s = &run->sessions->s[which];
	struct stat st;
	char id[64], path[64];
	int r = run->t->ops->stat(run->t, step_name(which), 0, &st);
	if ((r == 0) != s->exists) {
		run_fail(run, "session %s: %s", step_name(which), r == 0 ? "is there" : strerror(-r));
		return;
	}
	if (!s->exists)
		return;
	verify_json(run, which);
	if (!run->failed)
		verify_messages(run, which);
	ssize_t n = run->t->ops->getxattr(run->t, step_name(which), "user.scribefs.session_id", id, sizeof id);
	if (!run->failed && (n != (ssize_t)strlen(s->id) || memcmp(id, s->id, (size_t)n)))
		run_fail(run, "session %s has another id as an xattr", step_name(which));
	snprintf(path, sizeof path, "%s/session.json.rejected", step_name(which));
	if (!run->failed && (run->t->ops->stat(run->t, path, 0, &st) == 0) != s->rejected)
		run_fail(run, "%s: expected %d", path, s->rejected);
}
