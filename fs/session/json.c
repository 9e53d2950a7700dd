#include "fs/session/json.h"

#include "fs/session/title.h"
#include "kv/kv.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

DEFINE_CLEANUP(cJSON *, cJSON_Delete);
#define _cleanup_json_ _cleanup_(cJSON_Deletep)

void json_object_release(struct json_object *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->members[i].key);
		free(o->members[i].value);
	}
	free(o->members);
	*o = (struct json_object){0};
}

/* ---- text of valid documents ----------------------------------------------------------------- */

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Past the string that begins at @p. */
static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

/* Past the value at @p, whatever it is. */
static const char *skip_value(const char *p)
{
	unsigned depth = 0;
	do {
		p = skip_blanks(p);
		if (*p == '"') {
			p = skip_string(p);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth--;
			p++;
		} else if (*p == ',' || *p == ':') {
			p++;
		} else if (*p) {
			p += strcspn(p, " \t\r\n,:]}");
		}
	} while (depth && *p);
	return p;
}

/* The text without the blanks between tokens. */
static char *compact(const char *from, const char *to)
{
	char *out = malloc((size_t)(to - from) + 1), *o = out;
	if (!out)
		return NULL;
	for (const char *p = skip_blanks(from); p < to; p = skip_blanks(p)) {
		const char *end = *p == '"' ? skip_string(p) : p + 1;
		memcpy(o, p, (size_t)(end - p));
		o += end - p;
		p = end;
	}
	*o = '\0';
	return out;
}

/* Brackets that nest deeper than JSON_DEPTH, before anything recursive sees them. */
static bool too_deep(const char *p)
{
	unsigned depth = 0;
	while (*p) {
		if (*p == '"') {
			p = skip_string(p);
			continue;
		}
		if ((*p == '{' || *p == '[') && ++depth > JSON_DEPTH)
			return true;
		if ((*p == '}' || *p == ']') && depth)
			depth--;
		p++;
	}
	return false;
}

/* cJSON lets control characters, in strings and as blanks, and a few odd numbers pass. */
static bool strict(const char *p)
{
	while (*p) {
		if (*p == '"') {
			const char *end = skip_string(p);
			for (; p < end; p++)
				if ((unsigned char)*p < 0x20)
					return false;
		} else if (*p == '-' || (*p >= '0' && *p <= '9')) {
			const char *digits = p + (*p == '-');
			const char *end = p + strcspn(p, " \t\r\n,:]}");
			if (*digits < '0' || *digits > '9' || end[-1] == '.' ||
			        (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') ||
			        strstr(digits, ".e") == digits + strspn(digits, "0123456789"))
				return false;
			p = end;
		} else if ((unsigned char)*p < 0x20 && !strchr("\t\r\n", *p)) {
			return false;
		} else {
			p++;
		}
	}
	return true;
}

static const char *check_text(const char *text, size_t len)
{
	if (memchr(text, '\0', len))
		return "it contains a NUL byte";
	if (!utf8_valid(text, len))
		return "it is not valid UTF-8";
	if (too_deep(text))
		return "it nests too deeply";
	_cleanup_json_ cJSON *root = cJSON_ParseWithOpts(text, NULL, 1);
	if (!root || !strict(text))
		return "it is not valid JSON";
	return cJSON_IsObject(root) ? NULL : "it is not a JSON object";
}

static int split_members(const char *text, struct json_object *o)
{
	const char *p = skip_blanks(skip_blanks(text) + 1);
	while (*p == '"') {
		const char *key_end = skip_string(p);
		const char *value = skip_blanks(skip_blanks(key_end) + 1);
		const char *value_end = skip_value(value);
		_cleanup_free_ char *k = compact(p, key_end), *v = compact(value, value_end);
		int r = k && v ? json_set_key(o, k, v) : -ENOMEM;
		if (r < 0)
			return r;
		p = skip_blanks(value_end);
		if (*p == ',')
			p = skip_blanks(p + 1);
	}
	return 0;
}

int json_object_parse(
        const char *text, size_t len, struct json_object *ret_object, const char **ret_reason)
{
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	if (len > JSON_MAX) {
		*ret_reason = "it is larger than 1 MiB";
		return -EINVAL;
	}
	_cleanup_free_ char *copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';

	const char *reason = check_text(copy, len);
	if (reason) {
		*ret_reason = reason;
		return -EINVAL;
	}
	struct json_object o = {0};
	int r = split_members(copy, &o);
	if (r < 0) {
		json_object_release(&o);
		return r;
	}
	*ret_object = o;
	return 0;
}

/* ---- members --------------------------------------------------------------------------------- */

static struct json_member *find(const struct json_object *o, const char *key)
{
	for (size_t i = 0; i < o->n; i++)
		if (strcmp(o->members[i].key, key) == 0)
			return &o->members[i];
	return NULL;
}

const char *json_get_key(const struct json_object *o, const char *key)
{
	const struct json_member *m = find(o, key);
	return m ? m->value : NULL;
}

const char *json_get(const struct json_object *o, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < o->n; i++) {
		const char *key = o->members[i].key;
		if (strlen(key) == len + 2 && memcmp(key + 1, name, len) == 0)
			return o->members[i].value;
	}
	return NULL;
}

static int add_member(struct json_object *o, const char *key, const char *value)
{
	if (o->n == o->room) {
		size_t room = o->room ? o->room * 2 : 8;
		struct json_member *grown = realloc(o->members, room * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		o->members = grown;
		o->room = room;
	}
	struct json_member m = {.key = strdup(key), .value = strdup(value)};
	if (!m.key || !m.value) {
		free(m.key);
		free(m.value);
		return -ENOMEM;
	}
	o->members[o->n++] = m;
	return 0;
}

int json_set_key(struct json_object *o, const char *key, const char *value)
{
	struct json_member *m = find(o, key);
	if (m && !value) {
		free(m->key);
		free(m->value);
		size_t at = (size_t)(m - o->members);
		memmove(m, m + 1, (o->n - at - 1) * sizeof *m);
		o->n--;
		return 0;
	}
	if (!value)
		return 0;
	if (!m)
		return add_member(o, key, value);
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(m->value);
	m->value = copy;
	return 0;
}

int json_copy(const struct json_object *o, struct json_object *ret_copy)
{
	struct json_object copy = {0};
	for (size_t i = 0; i < o->n; i++) {
		int r = add_member(&copy, o->members[i].key, o->members[i].value);
		if (r < 0) {
			json_object_release(&copy);
			return r;
		}
	}
	*ret_copy = copy;
	return 0;
}

int json_object_text(const struct json_object *o, struct buf *out)
{
	int r = buf_append(out, "{", 1);
	for (size_t i = 0; r == 0 && i < o->n; i++)
		r = buf_printf(
		        out, "%s%s:%s", i ? "," : "", o->members[i].key, o->members[i].value);
	return r < 0 ? r : buf_append(out, "}", 1);
}

/* ---- values ---------------------------------------------------------------------------------- */

int json_string(const char *value, char **ret_string)
{
	_cleanup_json_ cJSON *v = cJSON_ParseWithOpts(value, NULL, 1);
	/* cJSON ends a string at an escaped NUL */
	if (!cJSON_IsString(v) || strstr(value, "\\u0000") ||
	        !utf8_valid(v->valuestring, strlen(v->valuestring)))
		return -EINVAL;
	char *s = strdup(v->valuestring);
	if (!s)
		return -ENOMEM;
	*ret_string = s;
	return 0;
}

int json_integer(const char *value, uint64_t *ret_number)
{
	_cleanup_json_ cJSON *v = cJSON_ParseWithOpts(value, NULL, 1);
	if (!cJSON_IsNumber(v))
		return -EINVAL;
	double d = v->valuedouble;
	if (!(d >= 0 && d <= 9007199254740992.0) || (double)(uint64_t)d < d ||
	        (double)(uint64_t)d > d)
		return -EINVAL;
	*ret_number = (uint64_t)d;
	return 0;
}

int json_number(const char *value, double *ret_number)
{
	_cleanup_json_ cJSON *v = cJSON_ParseWithOpts(value, NULL, 1);
	if (!cJSON_IsNumber(v))
		return -EINVAL;
	*ret_number = v->valuedouble;
	return 0;
}

enum json_type json_type(const char *value)
{
	switch (value[0]) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	default:
		return value[0] == 'n' ? JSON_NULL : JSON_NUMBER;
	}
}

bool json_is_array(const char *value)
{
	return value[0] == '[';
}

int json_escape(struct buf *out, const char *text, size_t len)
{
	int r = 0;
	for (size_t i = 0, plain; r == 0 && i < len;) {
		for (plain = i; plain < len && (unsigned char)text[plain] >= 0x20 &&
		                (unsigned char)text[plain] < 0x7f && text[plain] != '"' &&
		                text[plain] != '\\';)
			plain++;
		r = buf_append(out, text + i, plain - i);
		i = plain;
		if (r < 0 || i == len)
			return r;
		unsigned char c = (unsigned char)text[i];
		unsigned n = utf8_length(text + i, len - i);
		if (c == '"' || c == '\\')
			r = buf_printf(out, "\\%c", c);
		else if (c == '\n')
			r = buf_append(out, "\\n", 2);
		else if (c == '\t')
			r = buf_append(out, "\\t", 2);
		else if (c < 0x20 || c == 0x7f)
			r = buf_printf(out, "\\u%04x", c);
		else if (n == 0)
			r = buf_append(out, "\xef\xbf\xbd", 3);
		else
			r = buf_append(out, text + i, n);
		i += n ? n : 1;
	}
	return r;
}

int json_quote(struct buf *out, const char *text, size_t len)
{
	int r = buf_append(out, "\"", 1);
	if (r == 0)
		r = json_escape(out, text, len);
	return r < 0 ? r : buf_append(out, "\"", 1);
}

bool json_array_next(const char **p, const char **ret_element, size_t *ret_len)
{
	const char *at = skip_blanks(*p);
	if (*at == '[' || *at == ',')
		at = skip_blanks(at + 1);
	if (*at == ']' || *at == '\0')
		return false;
	*ret_element = at;
	*p = skip_value(at);
	*ret_len = (size_t)(*p - at);
	return true;
}

static int new_line(struct buf *out, unsigned level)
{
	return buf_printf(out, "\n%*s", (int)level * 2, "");
}

int json_pretty(struct buf *out, const char *value, unsigned level)
{
	int r = 0;
	for (const char *p = value; *p && r == 0;) {
		const char *end = *p == '"' ? skip_string(p) : p + 1;
		bool open = *p == '{' || *p == '[', close = *p == '}' || *p == ']';
		if (open && (p[1] == '}' || p[1] == ']')) {
			r = buf_append(out, p, 2); /* {} and [] stay on one line */
			p += 2;
			continue;
		}
		if (close)
			r = new_line(out, --level);
		if (r == 0)
			r = buf_append(out, p, (size_t)(end - p));
		if (r == 0 && *p == ':')
			r = buf_append(out, " ", 1);
		if (r == 0 && open)
			r = new_line(out, ++level);
		if (r == 0 && *p == ',')
			r = new_line(out, level);
		p = end;
	}
	return r;
}
