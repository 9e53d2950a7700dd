/*
 * agent.c: the agent at work in a session: its file `agent`, and what a switch writes.
 *
 *   coder                      coder # took over the tests
 *   agent: coder # reason      {"agent": "coder", "reason": "took over the tests"}
 *
 * The first line that is not blank counts. The first name that a session gets is no switch, and
 * neither is the name that it has.
 *
 * An edit of agent.current in session.json is a switch too, and leaves the file as it is, which is the user's. So the
 * record remembers whom the file named last: a file that names the same one again says nothing new, whoever is at work
 * by now. Where the two differ session.json says so (agent.file), so that a copy knows it as well, whichever of its
 * files comes first: a restored file adds nothing to the history. To go back to the one whom the file names, edit
 * session.json again, or let the file name somebody else first.
 *
 * A file that is not blank and names nobody is kept as it is and told of (user.scribefs.reason, status/problems.json).
 */
#include "fs/session/json.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"

#define AGENT_FILE_MAX 4096 /* bytes that are looked at */
#define AGENT_NAME_MAX 255

struct named {
	char name[AGENT_FILE_MAX + 1], reason[AGENT_FILE_MAX + 1];
};

static int append_string(struct buf *out, const char *key, const char *text)
{
	int r = buf_printf(out, "\"%s\":", key);
	if (r < 0)
		return r;
	return text ? json_quote(out, text, strlen(text)) : buf_append(out, "null", 4);
}

static int add_history(struct srec *rec, const char *to, const char *reason, int64_t now)
{
	_cleanup_buf_ struct buf text = {0};
	char when[TIMESTAMP_LEN + 1];
	const char *before = rec->history ? rec->history : "[]";
	size_t len = strlen(before) - 1; /* without the closing bracket */

	timestamp_format(now, when);
	int r = buf_append(&text, before, len);
	if (r == 0)
		r = buf_printf(&text, "%s{", len > 1 ? "," : "");
	if (r == 0)
		r = append_string(&text, "from", rec->agent);
	if (r == 0)
		r = buf_printf(&text, ",");
	if (r == 0)
		r = append_string(&text, "to", to);
	if (r == 0)
		r = buf_printf(&text, ",");
	if (r == 0)
		r = append_string(&text, "reason", reason);
	if (r == 0)
		r = buf_printf(&text, ",\"timestamp\":\"%s\"}]", when);
	if (r == 0)
		r = buf_append(&text, "", 1);
	return r < 0 ? r : srec_set(&rec->history, (const char *)text.data);
}

int agent_switch(struct srec *rec, const char *to, const char *reason, int64_t now)
{
	if (to && rec->agent && strcmp(to, rec->agent) == 0)
		return 0;
	if (rec->agent) {
		int r = add_history(rec, to, reason, now);
		if (r < 0)
			return r;
		rec->switches++;
	}
	return srec_set(&rec->agent, to);
}

static void copy_trimmed(const char *from, const char *to, char *ret_text)
{
	while (from < to && (*from == ' ' || *from == '\t'))
		from++;
	while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
		to--;
	memcpy(ret_text, from, (size_t)(to - from));
	ret_text[to - from] = '\0';
}

static void parse_line(const char *text, struct named *n)
{
	const char *p = text + strspn(text, " \t\r\n"), *end = p + strcspn(p, "\n");
	if (strncmp(p, "agent:", 6) == 0)
		p += 6;
	const char *hash = memchr(p, '#', (size_t)(end - p));
	copy_trimmed(p, hash ? hash : end, n->name);
	if (hash)
		copy_trimmed(hash + 1, end, n->reason);
}

/* -EINVAL and why: no such object. */
static int parse_json(const char *text, size_t len, struct named *n, const char **ret_problem)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	_cleanup_free_ char *name = NULL, *reason = NULL;

	int r = json_object_parse(text, len, &o, ret_problem);
	if (r < 0)
		return r;
	*ret_problem = "agent, and reason if it is there, must be strings without NUL";
	if (!json_get(&o, "agent"))
		return -EINVAL;
	r = json_string(json_get(&o, "agent"), &name);
	if (r == 0 && json_get(&o, "reason"))
		r = json_string(json_get(&o, "reason"), &reason);
	if (r < 0)
		return r;
	strcpy(n->name, name); /* no longer than the text that they were decoded from */
	strcpy(n->reason, reason ? reason : "");
	return 0;
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > AGENT_NAME_MAX || !utf8_valid(name, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return true;
}

/* Whom the file names: 1; 0: it is blank; -EINVAL and @ret_problem: nobody. The inode is locked or staged. */
static int read_file(struct inode *file, struct named *n, const char **ret_problem)
{
	char text[AGENT_FILE_MAX + 1];
	ssize_t len = data_read(file, text, AGENT_FILE_MAX, 0);
	int r = 0;

	if (len < 0)
		return (int)len;
	text[len] = '\0';
	size_t blanks = strspn(text, " \t\r\n");
	if (blanks == (size_t)len)
		return 0;
	if (text[blanks] == '{')
		r = parse_json(text, (size_t)len, n, ret_problem);
	else
		parse_line(text, n);
	if (r == 0 && !is_name(n->name)) {
		*ret_problem = "the name must be 1 to 255 bytes of UTF-8 without control characters";
		r = -EINVAL;
	}
	return r < 0 ? r : 1;
}

int agent_take(struct op *op, struct inode *file, struct srec *rec)
{
	struct named named = {0};
	const char *problem;
	int r = read_file(file, &named, &problem);

	if (r < 0 && r != -EINVAL)
		return r;
	rec->flags &= (uint16_t)~SREC_AGENT_BROKEN;
	if (r < 0)
		rec->flags |= SREC_AGENT_BROKEN;
	if (r <= 0)
		return 0;
	srec_changed(rec, &op->now);
	if (rec->agent_file && strcmp(named.name, rec->agent_file) == 0)
		return 0;
	r = srec_set(&rec->agent_file, named.name);
	bool reason = named.reason[0] && utf8_valid(named.reason, strlen(named.reason));
	return r < 0 ? r : agent_switch(rec, named.name, reason ? named.reason : "agent file", rec->changed);
}

int agent_problem_of(struct inode *file, struct buf *ret_text)
{
	struct named named = {0};
	const char *problem;

	pthread_rwlock_rdlock(&file->lock);
	int r = read_file(file, &named, &problem);
	pthread_rwlock_unlock(&file->lock);
	if (r != -EINVAL)
		return r < 0 ? r : -ENODATA;
	return buf_append(ret_text, problem, strlen(problem));
}
