/*
 * json.h: JSON as session.json needs it. The only place that knows cJSON, which decides what is
 * valid and decodes scalars. Values are kept as compact text with their strings and numbers
 * verbatim, so that no number of the user's loses a digit and what came in canonical goes out the
 * same. Pure, any thread.
 */
#ifndef SCRIBEFS_FS_SESSION_JSON_H
#define SCRIBEFS_FS_SESSION_JSON_H

#include "kv/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX (1u << 20) /* bytes of a document that is read */
#define JSON_DEPTH 64

/* One member of an object: both are compact JSON text, NUL-terminated; the key with its quotes. */
struct json_member {
	char *key, *value;
};

/* The members of an object in their order. Zeroed is empty. */
struct json_object {
	struct json_member *members;
	size_t n, room;
};
void json_object_release(struct json_object *o);

/*
 * -EINVAL: no valid JSON object (@ret_reason, a constant, says why). Where a key comes twice the
 * last one counts. -ENOMEM.
 */
int json_object_parse(
        const char *text, size_t len, struct json_object *ret_object, const char **ret_reason);
/* The value of the key @name (plain ASCII), or NULL. Valid until the object changes. */
const char *json_get(const struct json_object *o, const char *name);
/* As json_get() by a key's own text, quotes included. */
const char *json_get_key(const struct json_object *o, const char *key);
/* Sets (or adds at the end) the member whose key text is @key; NULL removes it. -ENOMEM. */
int json_set_key(struct json_object *o, const char *key, const char *value);
int json_copy(const struct json_object *o, struct json_object *ret_copy);
/* Appends it as compact text. */
int json_object_text(const struct json_object *o, struct buf *out);

/* Decode a value: -EINVAL where it is of another type (or, a number, no integer from 0 to 2^53). */
int json_string(
        const char *value, char **ret_string); /* valid UTF-8 without NUL; the caller frees */
int json_integer(const char *value, uint64_t *ret_number);
int json_number(const char *value, double *ret_number);
enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
/* Of a value that is valid. */
enum json_type json_type(const char *value);
bool json_is_array(const char *value);

/* Append @text as a JSON string; what is no UTF-8 becomes U+FFFD. */
int json_quote(struct buf *out, const char *text, size_t len);
/* The same without the quotes around it, for a text that comes in parts. */
int json_escape(struct buf *out, const char *text, size_t len);
/*
 * Goes through the valid array at *@p, which is set past each element. The text of an element lies in the
 * array's. False at the end.
 */
bool json_array_next(const char **p, const char **ret_element, size_t *ret_len);
/* Append the compact value indented by two spaces a level; the first line is not indented. */
int json_pretty(struct buf *out, const char *value, unsigned level);

#endif
