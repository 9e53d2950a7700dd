/*
 * fuzz_session_json.c: any bytes as somebody's save of session.json. What is accepted leaves a
 * record whose rendering is valid, saved again changes nothing, and restored into an empty session
 * comes out byte for byte; and the record survives its own encoding.
 */
#include "fs/session/json.h"
#include "fs/session/session_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct place place = {.user_name = "u\xff\n", .workflow_name = "w"};

static void expect(bool held)
{
	if (!held)
		abort();
}

static void render(const struct srec *rec, struct buf *out)
{
	char buffer[TITLE_AUTO_MAX + 1];
	struct shown shown = {.title = srec_title(rec, buffer),
	        .version = 3,
	        .updated = 5,
	        .activity = 7,
	        .messages = 2,
	        .tokens = 9};
	out->len = 0;
	expect(render_session(rec, &place, &shown, out) == 0);
}

static bool merge(struct srec *rec, const void *text, size_t len, const struct buf *base)
{
	_cleanup_(merge_release) struct merge m = {0};
	const char *reason = NULL;
	const struct moment moment = {.ages = {.idle = 5, .archive = 9}, .now = 11};
	int r = merge_document(rec, text, len, base ? (const char *)base->data : NULL,
	        base ? base->len : 0, &moment, &m, &reason);
	expect(r == 0 || (r == -EINVAL && reason));
	return r == 0;
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* The first half of a session's life is fixed, so that there is something to merge with. */
static void begin(struct srec *rec)
{
	for (uint8_t i = 0; i < 16; i++)
		rec->id[i] = i;
	rec->activity = 7;
	expect(srec_set(&rec->auto_title, "Automatic") == 0);
	expect(srec_set(&rec->metadata, "{\"a\":1,\"b\":[2]}") == 0);
	expect(srec_set(&rec->agent, "x") == 0);
}

static void check_record(const struct srec *rec)
{
	_cleanup_buf_ struct buf first = {0}, second = {0};
	_cleanup_srec_ struct srec back = {0};
	expect(srec_encode(rec, &first) == 0);
	expect(srec_decode(first.data, first.len, &back) == 0);
	expect(srec_encode(&back, &second) == 0 && same(&first, &second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf base = {0}, once = {0}, again = {0};
	_cleanup_srec_ struct srec rec = {0}, other = {0};
	struct srec any;

	if (srec_decode(data, size, &any) == 0) {
		check_record(&any);
		srec_release(&any);
	}
	begin(&rec);
	render(&rec, &base);
	if (!merge(&rec, data, size, size & 1 ? &base : NULL))
		return 0;
	check_record(&rec);
	render(&rec, &once);
	expect(merge(&rec, once.data, once.len, &once));
	render(&rec, &again);
	expect(same(&once, &again));

	memcpy(other.id, rec.id, 16); /* who has it is not merge's to decide */
	expect(merge(&other, once.data, once.len, NULL));
	render(&other, &again);
	expect(same(&once, &again));
	return 0;
}
