/*
 * The rows of KV_SYS. Key: u32 domain, u8 kind. All are sealed with domain 0's key, so that the
 * counters of a domain outlive its key.
 *
 * Commit row (domain 0, kind 1), written by every commit:
 *    0  u8    format: 1, or 2 where there is a line
 *    1  u8    n: domains that follow, 0 … 16
 *    2  u16   line (seen.c), 0: none
 *    4  u64   sequence
 *   12  u128  sum over all records
 *   28  n × { u32 domain, i64 × 4 counters }, the least recently changed first
 *
 * Counters row (the domain, kind 2), written when the domain leaves the commit row:
 *    0  u8    format (1)
 *    1  u24   0
 *    4  i64 × 4 counters
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"

#define ROW_FORMAT 1
#define ROW_FORMAT_LINE 2

_Static_assert(KV_COUNTERS == 4, "the table above");

void kv_row_key(uint32_t domain, uint8_t kind, uint8_t ret_key[KV_ROW_KEY_BYTES])
{
	put_u8(put_be32(ret_key, domain), kind);
}

static uint8_t *put_values(uint8_t *p, const struct kv_count *count)
{
	for (int i = 0; i < KV_COUNTERS; i++)
		p = put_be64(p, (uint64_t)count->value[i]);
	return p;
}

static void read_values(struct bytes_reader *r, struct kv_count *ret_count)
{
	for (int i = 0; i < KV_COUNTERS; i++)
		ret_count->value[i] = (int64_t)read_be64(r);
}

size_t kv_commit_row_encode(const struct kv_commit_row *row, uint8_t ret_bytes[KV_COMMIT_ROW_MAX])
{
	uint8_t *p = put_u8(ret_bytes, row->line ? ROW_FORMAT_LINE : ROW_FORMAT);

	p = put_u8(p, (uint8_t)row->n);
	p = put_be16(p, row->line);
	p = put_be64(p, row->sequence);
	p = put_be64(p, (uint64_t)(row->sum >> 64));
	p = put_be64(p, (uint64_t)row->sum);
	for (unsigned i = 0; i < row->n; i++)
		p = put_values(put_be32(p, row->count[i].domain), &row->count[i]);
	return (size_t)(p - ret_bytes);
}

int kv_commit_row_decode(const void *data, size_t len, struct kv_commit_row *ret_row)
{
	struct bytes_reader r = bytes_reader(data, len);
	struct kv_commit_row row;
	uint8_t format = read_u8(&r);
	uint64_t high;

	if (format != ROW_FORMAT && format != ROW_FORMAT_LINE)
		return len ? -EPROTONOSUPPORT : -EBADMSG;
	row.n = read_u8(&r);
	row.line = read_be16(&r);
	if ((row.line != 0) != (format == ROW_FORMAT_LINE) || row.n > KV_RECENT)
		return -EBADMSG;
	row.sequence = read_be64(&r);
	high = read_be64(&r);
	row.sum = (kv_sum)high << 64 | read_be64(&r);
	for (unsigned i = 0; i < row.n; i++) {
		row.count[i].domain = read_be32(&r);
		read_values(&r, &row.count[i]);
	}
	if (bytes_reader_end(&r) < 0)
		return -EBADMSG;
	*ret_row = row;
	return 0;
}

void kv_counters_row_encode(const struct kv_count *count, uint8_t ret_bytes[KV_COUNTERS_ROW_BYTES])
{
	put_values(put_be32(ret_bytes, (uint32_t)ROW_FORMAT << 24), count);
}

int kv_counters_row_decode(
	uint32_t domain, const void *data, size_t len, struct kv_count *ret_count)
{
	struct bytes_reader r = bytes_reader(data, len);
	struct kv_count count = {.domain = domain};
	uint32_t head = read_be32(&r);

	if (!r.bad && head >> 24 != ROW_FORMAT)
		return -EPROTONOSUPPORT;
	if (head & 0xffffff)
		return -EBADMSG;
	read_values(&r, &count);
	if (bytes_reader_end(&r) < 0)
		return -EBADMSG;
	*ret_count = count;
	return 0;
}

int kv_commit_row_open(const struct kv *kv, const struct buf *sealed, struct kv_commit_row *ret_row)
{
	_cleanup_buf_ struct buf plain = {0};
	uint8_t key[KV_ROW_KEY_BYTES];
	int r;

	kv_row_key(0, KV_ROW_COMMIT, key);
	r = seal_open(
		&kv->seal, kv->own_key, KV_SYS, key, sizeof key, sealed->data, sealed->len, &plain);
	return r < 0 ? r : kv_commit_row_decode(plain.data, plain.len, ret_row);
}

int kv_commit_row_read(struct kv *kv, struct kv_engine *engine, struct kv_engine_view *view,
	struct kv_commit_row *ret_row)
{
	_cleanup_buf_ struct buf sealed = {0};
	uint8_t key[KV_ROW_KEY_BYTES];
	int r;

	kv_row_key(0, KV_ROW_COMMIT, key);
	r = kv->ops->get(engine, view, KV_SYS, key, sizeof key, &sealed);
	if (r == -ENOENT) {
		*ret_row = (struct kv_commit_row){0};
		return 0;
	}
	return r < 0 ? r : kv_commit_row_open(kv, &sealed, ret_row);
}
