/*
 * agent.c: the agent at work in a session: its file `agent`, and what a switch writes.
 *
 *   coder                      coder # took over the tests
 *   agent: coder # reason      {"agent": "coder", "reason": "took over the tests"}
 *
 * The first line that is not blank counts. The first name that a session gets is no switch, and
 * neither is the name that it has, so a restored file adds nothing to the history.
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

/* -EINVAL: no such object. */
static int parse_json(const char *text, size_t len, struct named *n)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	_cleanup_free_ char *name = NULL, *reason = NULL;
	const char *why;

	int r = json_object_parse(text, len, &o, &why);
	if (r < 0)
		return r;
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

int agent_take(struct op *op, struct inode *file, struct srec *rec)
{
	char text[AGENT_FILE_MAX + 1];
	struct named named = {0};

	ssize_t len = data_read(file, text, AGENT_FILE_MAX, 0);
	if (len < 0)
		return (int)len;
	text[len] = '\0';
	if (text[strspn(text, " \t\r\n")] == '{') {
		int r = parse_json(text, (size_t)len, &named);
		if (r < 0)
			return r == -EINVAL ? 0 : r;
	} else {
		parse_line(text, &named);
	}
	if (!is_name(named.name))
		return 0; /* whatever it says, it names nobody */
	bool reason = named.reason[0] && utf8_valid(named.reason, strlen(named.reason));
	srec_changed(rec, &op->now);
	return agent_switch(rec, named.name, reason ? named.reason : "agent file", rec->changed);
}
