#include "tests/exercise/sessions.h"

#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_MANY 25
#define STALE_MAX 8 /* versions: more than these later an editor's text counts as a restore */

struct sessions_model *sessions_model_new(void)
{
	struct sessions_model *m = calloc(1, sizeof *m);
	if (!m)
		abort();
	return m;
}

static void session_clear(struct session_model *s)
{
	for (unsigned i = 0; i < s->n; i++)
		free(s->messages[i].text);
	free(s->messages);
	free(s->stale);
	*s = (struct session_model){0};
}

void sessions_model_free(struct sessions_model *m)
{
	for (unsigned i = 0; i < SESSIONS; i++)
		session_clear(&m->s[i]);
	free(m);
}

/* ---- the model's messages -------------------------------------------------------------------- */

static struct message_model *message_find(struct session_model *s, unsigned number)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->messages[i].number == number)
			return &s->messages[i];
	return NULL;
}

static void message_remove(struct session_model *s, unsigned number)
{
	struct message_model *m = message_find(s, number);
	if (!m)
		return;
	free(m->text);
	memmove(m, m + 1, (size_t)(s->messages + s->n - (m + 1)) * sizeof *m);
	s->n--;
}

static void message_set(struct session_model *s, unsigned number, const char *text, size_t len)
{
	struct message_model m = {.number = number, .len = len, .text = malloc(len + 1)};
	unsigned at = 0;
	if (!m.text)
		abort();
	memcpy(m.text, text, len);
	m.text[len] = '\0';
	sessions_parse(&m);
	message_remove(s, number);
	s->messages = realloc(s->messages, (s->n + 1) * sizeof *s->messages);
	if (!s->messages)
		abort();
	while (at < s->n && s->messages[at].number < number)
		at++;
	memmove(s->messages + at + 1, s->messages + at, (s->n - at) * sizeof *s->messages);
	s->messages[at] = m;
	s->n++;
	if (number > s->high) {
		s->high = number;
		s->state[0] = '\0'; /* the user's ends with a new message */
	}
}

/* What @seed writes. */
static size_t compose(uint32_t seed, char *text)
{
	static const char *const roles[] = {"user", "assistant", "system", "tool"};
	char head[256] = "", *end = head;
	size_t at, want = seed % 17 ? 10 + seed % 90 : 6000;
	if (seed % 31 == 0)
		return 0;
	if (seed % 8 == 6)
		end += sprintf(end, "---\n{ no: [yaml\n---\n");
	else if (seed % 8 > 2)
		end += sprintf(end, "---\nid: m%u\nrole: %s\n", seed, roles[seed / 8 % 4]);
	if (seed % 8 == 4 || seed % 8 == 5)
		end += sprintf(end, "tokens: %u\n", seed % 1000);
	if (seed % 8 == 7)
		end += sprintf(end, "timestamp: 2024-0%u-11T10:20:30Z\n", 1 + seed % 9);
	if (seed % 8 > 2 && seed % 8 != 6)
		end += sprintf(end, "---\n");
	end += sprintf(end, "Question %u", seed);
	at = (size_t)(end - head);
	memcpy(text, head, at);
	while (want--)
		text[at++] = want % 29 == 28 ? '\n' : (char)('a' + (seed + want) % 26);
	text[at - 1] = '\n';
	return at;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static const char *message_path(unsigned which, unsigned number, char path[64])
{
	snprintf(path, 64, "%s/messages/%03u.md", step_name(which), number);
	return path;
}

static unsigned number_of(const struct step *s)
{
	return s->flags % 400 == 0 ? 1000 + s->flags % 7919 : 1 + s->flags % 40;
}

static void make_session(struct run *run, unsigned which)
{
	struct session_model *s = &run->sessions->s[which];
	char path[64];
	int r;
	if (!run_same(run, s->exists ? -EEXIST : 0,
		    run->t->ops->make(run->t, step_name(which), S_IFDIR | 0755, 0, NULL)) ||
		s->exists)
		return;
	/* To whom made the session the pair is not there until it is made; to others it is. */
	snprintf(path, sizeof path, "%s/messages", step_name(which));
	r = run->t->ops->make(run->t, path, S_IFDIR | 0755, 0, NULL);
	if (r < 0 && r != -EEXIST)
		run_fail(run, "mkdir of %s: %s", path, strerror(-r));
	s->exists = true;
}

static void write_next(struct run *run, unsigned which, const struct step *step)
{
	struct session_model *s = &run->sessions->s[which];
	char path[64], text[SESSION_TEXT];
	size_t len = compose(step->seed, text);
	snprintf(path, sizeof path, "%s/messages/next.md", step_name(which));
	sessions_write(run, path, 0, text, len);
	message_set(s, s->high + 1, text, len);
}

static void write_message(struct run *run, unsigned which, const struct step *step)
{
	struct session_model *s = &run->sessions->s[which];
	unsigned number = number_of(step);
	const struct message_model *m = message_find(s, number);
	char path[64], text[SESSION_TEXT];
	size_t had = 0, len;
	message_path(which, number, path);
	if (step->verb == VERB_append && m && m->len < SESSION_TEXT / 2) {
		memcpy(text, m->text, m->len);
		had = m->len;
	}
	len = compose(step->seed, text + had);
	sessions_write(run, path, had || step->verb == VERB_append ? O_APPEND : O_TRUNC, text + had, len);
	if (step->verb == VERB_append && m && !had && m->len)
		return; /* too long to follow */
	message_set(s, number, text, had + len);
}

static void forget_message(struct run *run, unsigned which, const struct step *step)
{
	struct session_model *s = &run->sessions->s[which];
	unsigned number = s->n ? s->messages[step->flags % s->n].number : 7;
	char path[64];
	run_same(run, s->n ? 0 : -ENOENT, run->t->ops->unlink(run->t, message_path(which, number, path)));
	message_remove(s, number);
}

static void renumber(struct run *run, unsigned which, const struct step *step)
{
	struct session_model *s = &run->sessions->s[which];
	unsigned from = s->n ? s->messages[step->seed % s->n].number : 7, to = number_of(step);
	struct message_model *m = message_find(s, from);
	char a[64], b[64], text[SESSION_TEXT];
	size_t len;
	if (!run_same(run, m ? 0 : -ENOENT,
		    run->t->ops->rename(run->t, message_path(which, from, a), message_path(which, to, b), 0)) ||
		!m || from == to)
		return;
	len = m->len;
	memcpy(text, m->text, len);
	message_remove(s, from);
	message_set(s, to, text, len);
}

/* ---- session.json ---------------------------------------------------------------------------- */

/* Saved as an editor does: over the file, or as another that takes its name. */
static void save(struct run *run, unsigned which, const char *text, bool by_rename)
{
	char path[64], temp[64];
	snprintf(path, sizeof path, "%s/session.json", step_name(which));
	snprintf(temp, sizeof temp, "%s/.session.json.tmp", step_name(which));
	sessions_write(run, by_rename ? temp : path, O_TRUNC, text, strlen(text));
	if (by_rename)
		run_same(run, 0, run->t->ops->rename(run->t, temp, path, 0));
}

static cJSON *load(struct run *run, unsigned which)
{
	char path[64];
	cJSON *o;
	snprintf(path, sizeof path, "%s/session.json", step_name(which));
	sessions_read(run, path, run->sessions->text);
	o = cJSON_Parse(run->sessions->text);
	if (!o)
		run_fail(run, "%s is no JSON", path);
	return o;
}

static void edit(struct run *run, unsigned which, const struct step *step)
{
	static const char *const states[] = {"active", "idle", "archived"};
	struct session_model *s = &run->sessions->s[which];
	cJSON *o;
	char *text;
	if (step->flags % 8 == 7) {
		save(run, which, "{ this is no JSON", step->flags & 8);
		s->rejected = true;
		return;
	}
	o = load(run, which);
	if (!o)
		return;
	if (step->flags % 8 < 3) {
		snprintf(s->title, sizeof s->title, "Title %u", step->seed);
		s->any_title = false;
		cJSON_ReplaceItemInObjectCaseSensitive(o, "title", cJSON_CreateString(s->title));
	} else if (step->flags % 8 < 5) {
		const char *was = s->state[0] ? s->state : sessions_state(s), *state = states[step->seed % 3];
		cJSON_ReplaceItemInObjectCaseSensitive(o, "state", cJSON_CreateString(state));
		if (strcmp(state, was))
			strcpy(s->state, strcmp(state, sessions_state(s)) ? state : "");
	} else {
		cJSON *metadata = cJSON_GetObjectItemCaseSensitive(o, "metadata");
		s->mine = 1 + (int)(step->seed % 1000);
		cJSON_DeleteItemFromObjectCaseSensitive(metadata, "mine");
		cJSON_AddNumberToObject(metadata, "mine", s->mine);
	}
	text = cJSON_Print(o);
	save(run, which, text, step->flags & 8);
	free(text);
	cJSON_Delete(o);
}

/* An editor that read it a while ago saves what it has, unchanged: nothing may change. */
static void save_stale(struct run *run, unsigned which, const struct step *step)
{
	struct session_model *s = &run->sessions->s[which];
	cJSON *o = load(run, which);
	if (!o)
		return;
	s->version = (uint64_t)cJSON_GetObjectItemCaseSensitive(o, "version")->valuedouble;
	cJSON_Delete(o);
	if (!s->stale || s->version - s->stale_version > STALE_MAX) {
		free(s->stale);
		s->stale = strdup(run->sessions->text);
		s->stale_version = s->version;
		return;
	}
	save(run, which, s->stale, step->flags & 8);
}

static void name_agent(struct run *run, unsigned which, const struct step *step)
{
	static const char *const names[] = {"coder", "tester", "writer"};
	struct session_model *s = &run->sessions->s[which];
	const char *name = names[step->seed % 3];
	char path[64];
	snprintf(path, sizeof path, "%s/agent", step_name(which));
	sessions_write(run, path, O_TRUNC, name, strlen(name));
	if (s->agent[0] && strcmp(s->agent, name))
		s->switches++;
	strcpy(s->agent, name);
}

/* ---- whole sessions -------------------------------------------------------------------------- */

static void drop(struct run *run, unsigned which)
{
	static const char *const rest[] = {"session.json", "agent", "session.json.rejected"};
	struct session_model *s = &run->sessions->s[which];
	char path[64];
	for (unsigned i = 0; i < s->n; i++)
		run_same(run, 0, run->t->ops->unlink(run->t, message_path(which, s->messages[i].number, path)));
	snprintf(path, sizeof path, "%s/messages", step_name(which));
	run_same(run, 0, run->t->ops->rmdir(run->t, path));
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", step_name(which), rest[i]);
		if ((i == 1 && !s->agent[0]) || (i == 2 && !s->rejected))
			continue;
		run_same(run, 0, run->t->ops->unlink(run->t, path));
	}
	run_same(run, 0, run->t->ops->rmdir(run->t, step_name(which)));
}

static void move(struct run *run, unsigned which, unsigned to)
{
	struct session_model *s = run->sessions->s;
	int r;
	if (which == to)
		return;
	r = run->t->ops->rename(run->t, step_name(which), step_name(to), 0);
	if (!run_same(run, s[to].exists ? -ENOTEMPTY : 0, r) || r < 0)
		return;
	s[to] = s[which];
	s[which] = (struct session_model){0};
}

/* What a backup has of a session. */
struct backup {
	struct session_model model;
	char json[SESSION_TEXT];
	struct stat st, *messages;
	bool own_time; /* session.json's mtime is what its updated_at says */
};

/* The milliseconds of it. */
static long updated_at(const char *json)
{
	const char *at = strstr(json, "\"updated_at\""), *dot = at ? strchr(at, '.') : NULL;
	return dot ? strtol(dot + 1, NULL, 10) : -1;
}

static void backup_take(struct run *run, unsigned which, struct backup *b)
{
	const struct session_model *s = &run->sessions->s[which];
	char path[64];
	sessions_verify(run, which);
	snprintf(path, sizeof path, "%s/session.json", step_name(which));
	b->model = *s;
	sessions_read(run, path, b->json);
	run_same(run, 0, run->t->ops->stat(run->t, path, 0, &b->st));
	b->own_time = updated_at(b->json) == b->st.st_mtim.tv_nsec / 1000000;
	b->messages = calloc(s->n + 1, sizeof *b->messages);
	for (unsigned i = 0; i < s->n && b->messages; i++)
		run_same(run, 0, run->t->ops->stat(run->t, message_path(which, s->messages[i].number, path), 0,
			&b->messages[i]));
}

static void put_file(struct run *run, const char *path, const char *text, size_t len, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};
	sessions_write(run, path, O_TRUNC, text, len);
	run_same(run, 0, run->t->ops->utimens(run->t, path, times));
}

static void put_json(struct run *run, unsigned which, const struct backup *b)
{
	char path[64];
	snprintf(path, sizeof path, "%s/session.json", step_name(which));
	put_file(run, path, b->json, strlen(b->json), &b->st);
}

/* Copies it to a session that was not there, in one order or another. */
static void backup_put(struct run *run, unsigned which, const struct backup *b, uint32_t seed)
{
	struct session_model *s = &run->sessions->s[which];
	char path[64];
	make_session(run, which);
	if (seed & 1)
		put_json(run, which, b);
	for (unsigned k = 0; k < b->model.n && !run->failed; k++) {
		unsigned i = seed & 2 ? k : b->model.n - 1 - k;
		const struct message_model *m = &b->model.messages[i];
		put_file(run, message_path(which, m->number, path), m->text, m->len, &b->messages[i]);
		message_set(s, m->number, m->text, m->len);
	}
	if (b->model.agent[0]) {
		snprintf(path, sizeof path, "%s/agent", step_name(which));
		sessions_write(run, path, O_TRUNC, b->model.agent, strlen(b->model.agent));
	}
	if (!(seed & 1))
		put_json(run, which, b);
	strcpy(s->title, b->model.title);
	/* Whose it was a copy does not know: what time gives anyway is time's. */
	strcpy(s->state, strcmp(b->model.state, sessions_state(s)) ? b->model.state : "");
	strcpy(s->agent, b->model.agent);
	s->switches = b->model.switches;
	s->mine = b->model.mine;
	s->any_title = b->model.any_title;
}

static void restore(struct run *run, unsigned which, const struct step *step)
{
	struct session_model *s = &run->sessions->s[which];
	struct backup *b = calloc(1, sizeof *b);
	struct stat st;
	char path[64];
	if (!b)
		abort();
	backup_take(run, which, b);
	drop(run, which);
	*s = (struct session_model){0};
	if (!run->failed)
		backup_put(run, which, b, step->seed);
	strcpy(s->id, b->model.id);
	strcpy(s->created, b->model.created);
	strcpy(s->copied_from, b->model.copied_from);
	snprintf(path, sizeof path, "%s/session.json", step_name(which));
	sessions_read(run, path, run->sessions->text);
	if (strcmp(run->sessions->text, b->json))
		run_fail(run, "a restored session.json is another: %.300s", run->sessions->text);
	/* A copy whose time somebody has set keeps it only until something changes. */
	if (!run->failed && b->own_time && run_same(run, 0, run->t->ops->stat(run->t, path, 0, &st)) &&
		(st.st_mtim.tv_sec != b->st.st_mtim.tv_sec || st.st_mtim.tv_nsec != b->st.st_mtim.tv_nsec))
		run_fail(run, "a restored session.json has mtime %lld.%09ld, not %lld.%09ld",
			(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)b->st.st_mtim.tv_sec,
			b->st.st_mtim.tv_nsec);
	session_clear(&b->model);
	free(b->messages);
	free(b);
}

static void copy(struct run *run, unsigned which, unsigned to, const struct step *step)
{
	struct session_model *s = run->sessions->s;
	struct backup *b;
	char title[SESSION_TITLE];
	if (s[to].exists)
		return;
	b = calloc(1, sizeof *b);
	if (!b)
		abort();
	backup_take(run, which, b);
	if (!run->failed)
		backup_put(run, to, b, step->seed);
	strcpy(s[to].copied_from, b->model.id);
	strcpy(s[to].created, b->model.created);
	sessions_title(&b->model, title);
	s[to].any_title = s[to].any_title || !strncmp(title, "Chat ", 5);
	free(b->messages);
	free(b);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void restart(struct run *run, const struct step *step)
{
	int r = step->verb == VERB_reopen || !run->t->kills ? run->t->ops->reopen(run->t)
							      : run->t->ops->kill(run->t);
	if (r < 0)
		run_fail(run, "the store does not open again: %s", strerror(-r));
	for (unsigned i = 0; i < SESSIONS && !run->failed; i++)
		sessions_verify(run, i);
}

static void in_session(struct run *run, unsigned which, unsigned to, const struct step *step)
{
	switch (step->verb) {
	case VERB_next:
		write_next(run, which, step);
		break;
	case VERB_message:
	case VERB_append:
		write_message(run, which, step);
		break;
	case VERB_forget:
		forget_message(run, which, step);
		break;
	case VERB_renumber:
		renumber(run, which, step);
		break;
	case VERB_title:
		edit(run, which, step);
		break;
	case VERB_stale:
		save_stale(run, which, step);
		break;
	case VERB_agent:
		name_agent(run, which, step);
		break;
	case VERB_drop:
		drop(run, which);
		session_clear(&run->sessions->s[which]);
		break;
	case VERB_move:
		move(run, which, to);
		break;
	case VERB_copy_session:
		copy(run, which, to, step);
		break;
	case VERB_restore:
		restore(run, which, step);
		break;
	default:
		sessions_verify(run, which);
	}
}

void sessions_step(struct run *run, const struct step *step)
{
	unsigned which = (step->path.name[0] + SESSIONS - 1u) % SESSIONS;
	unsigned to = (step->path2.name[0] + SESSIONS - 1u) % SESSIONS;
	if (step->verb == VERB_reopen || step->verb == VERB_kill)
		restart(run, step);
	else if (step->verb == VERB_session)
		make_session(run, which);
	else if (run->sessions->s[which].exists)
		in_session(run, which, to, step);
	else
		run->skipped++;
}

void sessions_draw(struct draw *d, struct run *run, struct step *s)
{
	static const uint8_t verbs[] = {VERB_next, VERB_next, VERB_next, VERB_next, VERB_message, VERB_append,
		VERB_append, VERB_forget, VERB_renumber, VERB_title, VERB_stale, VERB_agent, VERB_verify,
		VERB_verify, VERB_verify, VERB_restore, VERB_copy_session, VERB_move, VERB_drop};
	unsigned which = draw_below(d, SESSIONS);
	s->verb = verbs[draw_below(d, sizeof verbs)];
	s->path.name[0] = (uint8_t)(which + 1);
	s->path2.name[0] = (uint8_t)(draw_below(d, SESSIONS) + 1);
	s->seed = draw_below(d, 1000000);
	s->flags = draw_below(d, 1000);
	if (!run->sessions->s[which].exists || draw_below(d, 50) == 0)
		s->verb = VERB_session;
	else if (run->sessions->s[which].n > MESSAGES_MANY)
		s->verb = draw_below(d, 4) ? VERB_forget : VERB_drop;
	else if (s->verb == VERB_drop && draw_below(d, 3))
		s->verb = VERB_verify;
	if (d->restarts && draw_below(d, 300) == 0)
		s->verb = draw_below(d, 2) ? VERB_kill : VERB_reopen;
}
