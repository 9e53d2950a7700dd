/*
 * render.c: the canonical form of session.json: two spaces a level, members in one order, a newline
 * at the end. The same facts give the same bytes, here and in any other store.
 */
#include "fs/session/json.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"
#include "fs/session/uuid.h"

#define HASH_PURPOSE_RENDERING 0x73657373u

static const char *const states[STATES] = {"active", "active", "idle", "archived", "deleted"};

const char *state_name(uint8_t state)
{
	return states[state < STATES ? state : STATE_AUTO];
}

int state_parse(const char *name, uint8_t *ret_state)
{
	for (uint8_t i = STATE_ACTIVE; i < STATES; i++)
		if (strcmp(name, states[i]) == 0) {
			*ret_state = i;
			return 0;
		}
	return -EINVAL;
}

static int put_string(struct buf *out, const char *key, const char *text)
{
	int r = buf_printf(out, "\"%s\":", key);
	if (r == 0)
		r = json_quote(out, text, strlen(text));
	return r < 0 ? r : buf_append(out, ",", 1);
}

static int put_time(struct buf *out, const char *key, int64_t ms)
{
	char text[TIMESTAMP_LEN + 1];
	timestamp_format(ms, text);
	return put_string(out, key, text);
}

/* ",member,member" out of "{member,member}" */
static int put_members(struct buf *out, const char *object)
{
	if (!object || strcmp(object, "{}") == 0)
		return 0;
	int r = buf_append(out, ",", 1);
	return r < 0 ? r : buf_append(out, object + 1, strlen(object) - 2);
}

static int put_metadata(const struct srec *rec, const struct shown *shown, struct buf *out)
{
	char activity[TIMESTAMP_LEN + 1];
	timestamp_format(
	        shown->activity == ACTIVITY_NONE ? rec->created : shown->activity, activity);
	int r = buf_printf(out, "\"metadata\":{\"total_tokens\":%llu,\"last_activity\":\"%s\"",
	        (unsigned long long)shown->tokens, activity);
	if (r == 0 && rec->flags & (SREC_PACKED | SREC_PACKED_SAID))
		r = buf_printf(out, ",\"compressed\":true");
	if (r == 0)
		r = put_members(out, rec->metadata);
	return r < 0 ? r : buf_append(out, "},", 2);
}

static int put_agent(const struct srec *rec, struct buf *out)
{
	int r = buf_printf(out, "\"agent\":{\"current\":");
	if (r == 0)
		r = rec->agent ? json_quote(out, rec->agent, strlen(rec->agent))
		               : buf_append(out, "null", 4);
	if (r == 0)
		r = buf_printf(out, ",\"history\":%s,\"switch_count\":%llu", rec->history ? rec->history : "[]",
			(unsigned long long)rec->switches);
	/* A copy has to know it: agent.c. */
	if (r == 0 && rec->agent_file && (!rec->agent || strcmp(rec->agent_file, rec->agent) != 0)) {
		r = buf_printf(out, ",\"file\":");
		if (r == 0)
			r = json_quote(out, rec->agent_file, strlen(rec->agent_file));
	}
	return r < 0 ? r : buf_append(out, "}", 1);
}

int render_session(const struct srec *rec, const struct place *place, const struct shown *shown,
        struct buf *out)
{
	_cleanup_buf_ struct buf text = {0};
	char id[UUID_LEN + 1];

	uuid_format(rec->id, id);
	int r = buf_printf(&text, "{\"session_id\":\"%s\",", id);
	if (r == 0)
		r = put_string(&text, "user_id", place->user_name);
	if (r == 0)
		r = put_string(&text, "workflow_type", place->workflow_name);
	if (r == 0)
		r = put_string(&text, "title", shown->title);
	if (r == 0)
		r = put_string(&text, "state", state_name(shown->state));
	if (r == 0 && shown->trash && rec->trashed)
		r = put_time(&text, "deleted_at", rec->trashed);
	if (r == 0 && rec->flags & SREC_INTERRUPTED)
		r = buf_printf(&text, "\"interrupted\":true,");
	if (r == 0)
		r = put_time(&text, "created_at", rec->created);
	if (r == 0)
		r = put_time(&text, "updated_at", shown->updated);
	if (r == 0)
		r = buf_printf(&text, "\"version\":%llu,\"message_count\":%u,",
		        (unsigned long long)shown->version, shown->messages);
	if (r == 0)
		r = put_metadata(rec, shown, &text);
	if (r == 0)
		r = put_agent(rec, &text);
	if (r == 0)
		r = put_members(&text, rec->extra);
	if (r == 0)
		r = buf_append(&text, "}", 2); /* with the NUL that json_pretty() stops at */
	if (r == 0)
		r = json_pretty(out, (const char *)text.data, 0);
	return r < 0 ? r : buf_append(out, "\n", 1);
}

int render_hash(struct op *op, uint32_t domain, const struct srec *rec,
        const struct place *place, const struct shown *shown, uint8_t ret_hash[16])
{
	_cleanup_buf_ struct buf text = {0};
	struct shown without = *shown;

	without.version = 0;
	without.updated = 0;
	int r = render_session(rec, place, &without, &text);
	return r < 0 ? r
	             : kv_hash128(core_kv(op->core), domain, HASH_PURPOSE_RENDERING, text.data,
	                       text.len, ret_hash);
}
