/*
 * irec.c: the inode record.
 *
 *   0  u8   format (1)
 *   1  u8   body (enum inode_body)
 *   2  u8   role
 *   3  u8   flags (enum inode_flags)
 *   4  u8   sections that follow: 1 directory, 2 xattrs, 4 map, 8 facts, 16 tail
 *   5  u32  mode, u32 uid, u32 gid, u32 nlink, u32 generation, u32 rdev, u32 number
 *  33  u64  size, u64 parent, u64 change, u64 epoch
 *  65  4 × (i64 seconds, u32 nanoseconds): atime, mtime, ctime, btime
 * 113  directory: 16 bytes sum of the entries
 *      xattrs:    u32 number, 16 bytes sum
 *      map:       u8 chunk_shift, u8 depth, u64 next_version, u64 stored, root entry (12)
 *      facts:     u16 length, bytes
 *      body:      INODE_INLINE, INODE_TARGET and a tail: u32 length, bytes
 */
#include "fs/core/core_internal.h"

#include <stdatomic.h>

#define IREC_FORMAT 1
#define IREC_FIXED 113

enum { SECTION_DIR = 1, SECTION_XATTR = 2, SECTION_MAP = 4, SECTION_FACTS = 8, SECTION_TAIL = 16 };

static bool time_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

bool irec_atime_stale(const struct irec *rec, const struct timespec *now)
{
	return !time_before(&rec->mtime, &rec->atime) || !time_before(&rec->ctime, &rec->atime) ||
	       now->tv_sec - rec->atime.tv_sec >= 24 * 60 * 60;
}

struct blob *blob_new(const void *data, size_t len)
{
	struct blob *b = malloc(sizeof *b + len);

	if (!b)
		return NULL;
	b->refs = 1;
	b->len = (uint32_t)len;
	if (len)
		memcpy(b->data, data, len);
	return b;
}

struct blob *blob_ref(struct blob *b)
{
	if (b)
		__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void blob_unref(struct blob *b)
{
	if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(b);
}

void msum_add(struct msum *sum, const uint8_t hash[16])
{
	uint64_t lo = sum->lo + get_be64(hash + 8);

	sum->hi += get_be64(hash) + (lo < sum->lo);
	sum->lo = lo;
}

void msum_sub(struct msum *sum, const uint8_t hash[16])
{
	uint64_t lo = sum->lo - get_be64(hash + 8);

	sum->hi -= get_be64(hash) + (lo > sum->lo);
	sum->lo = lo;
}

static uint8_t *put_time(uint8_t *p, const struct timespec *t)
{
	p = put_be64(p, (uint64_t)t->tv_sec);
	return put_be32(p, (uint32_t)t->tv_nsec);
}

static void read_time(struct bytes_reader *r, struct timespec *t)
{
	t->tv_sec = (time_t)read_be64(r);
	t->tv_nsec = read_be32(r);
	if (t->tv_nsec >= 1000000000)
		r->bad = true;
}

static uint8_t *put_msum(uint8_t *p, const struct msum *m)
{
	return put_be64(put_be64(p, m->hi), m->lo);
}

static void read_msum(struct bytes_reader *r, struct msum *m)
{
	m->hi = read_be64(r);
	m->lo = read_be64(r);
}

static uint8_t *put_sections(uint8_t *p, const struct irec *rec, const struct blob *facts,
	unsigned sections)
{
	if (sections & SECTION_DIR)
		p = put_msum(p, &rec->entries);
	if (sections & SECTION_XATTR)
		p = put_msum(put_be32(p, rec->xattrs), &rec->xattr_sum);
	if (sections & SECTION_MAP) {
		const struct map_root *m = &rec->map;
		p = put_u8(put_u8(p, m->chunk_shift), m->depth);
		p = put_be64(put_be64(p, m->next_version), m->stored);
		p = put_be32(p, (uint32_t)m->root.type << 24 | m->root.length);
		p = put_be64(p, m->root.version);
	}
	if (sections & SECTION_FACTS) {
		p = put_be16(p, (uint16_t)facts->len);
		p = put_bytes(p, facts->data, facts->len);
	}
	return p;
}

int irec_encode(const struct irec *rec, const struct buf *inline_data, const struct blob *facts,
	struct buf *ret_record)
{
	bool tail = rec->body == INODE_MAPPED && inline_data->len;
	bool bytes = rec->body == INODE_INLINE || rec->body == INODE_TARGET || tail;
	unsigned sections = (S_ISDIR(rec->mode) ? SECTION_DIR : 0) |
			    (rec->xattrs ? SECTION_XATTR : 0) |
			    (rec->map.next_version ? SECTION_MAP : 0) | (facts ? SECTION_FACTS : 0) |
			    (tail ? SECTION_TAIL : 0);
	size_t most = IREC_FIXED + 16 + 20 + 30 + (facts ? 2 + facts->len : 0) +
		      (bytes ? 4 + inline_data->len : 0);
	uint8_t *p;
	int r;

	if (facts && facts->len > UINT16_MAX)
		return -E2BIG;
	r = buf_reserve(ret_record, ret_record->len + most);
	if (r < 0)
		return r;
	p = ret_record->data + ret_record->len;
	p = put_u8(put_u8(p, IREC_FORMAT), rec->body);
	p = put_u8(put_u8(put_u8(p, rec->role), rec->flags), (uint8_t)sections);
	p = put_be32(put_be32(put_be32(p, rec->mode), rec->uid), rec->gid);
	p = put_be32(put_be32(p, rec->nlink), rec->generation);
	p = put_be32(put_be32(p, rec->rdev), rec->number);
	p = put_be64(put_be64(p, rec->size), rec->parent);
	p = put_be64(put_be64(p, rec->change), rec->epoch);
	p = put_time(put_time(p, &rec->atime), &rec->mtime);
	p = put_time(put_time(p, &rec->ctime), &rec->btime);
	p = put_sections(p, rec, facts, sections);
	if (bytes) {
		p = put_be32(p, (uint32_t)inline_data->len);
		p = put_bytes(p, inline_data->data, inline_data->len);
	}
	ret_record->len = (size_t)(p - ret_record->data);
	return 0;
}

static void read_fixed(struct bytes_reader *r, struct irec *rec)
{
	rec->mode = read_be32(r);
	rec->uid = read_be32(r);
	rec->gid = read_be32(r);
	rec->nlink = read_be32(r);
	rec->generation = read_be32(r);
	rec->rdev = read_be32(r);
	rec->number = read_be32(r);
	rec->size = read_be64(r);
	rec->parent = read_be64(r);
	rec->change = read_be64(r);
	rec->epoch = read_be64(r);
	read_time(r, &rec->atime);
	read_time(r, &rec->mtime);
	read_time(r, &rec->ctime);
	read_time(r, &rec->btime);
}

static void read_map(struct bytes_reader *r, struct map_root *m)
{
	uint32_t word;

	m->chunk_shift = read_u8(r);
	m->depth = read_u8(r);
	m->next_version = read_be64(r);
	m->stored = read_be64(r);
	word = read_be32(r);
	m->root.type = (uint8_t)(word >> 24);
	m->root.length = word & 0xffffff;
	m->root.version = read_be64(r);
	if (m->chunk_shift < 12 || m->chunk_shift > 22 || m->depth > 8 ||
		m->root.type > MAP_UNWRITTEN)
		r->bad = true;
}

bool irec_may_have_tail(const struct irec *rec, size_t len)
{
	uint64_t first = rec->size - len;
	unsigned shift = rec->map.chunk_shift;

	return len == 0 || (len <= INODE_TAIL_MAX && len <= rec->size && first >> shift == (rec->size - 1) >> shift &&
				   first & ((1u << shift) - 1));
}

static bool irec_sane(const struct irec *rec, size_t body_len)
{
	mode_t type = rec->mode & S_IFMT;

	switch (rec->body) {
	case INODE_EMPTY:
		return type != S_IFLNK && (type != S_IFREG || rec->size == 0) && body_len == 0;
	case INODE_INLINE:
		return type == S_IFREG && body_len == rec->size && body_len <= INODE_INLINE_MAX;
	case INODE_MAPPED:
		return type == S_IFREG && rec->map.next_version > 0 && rec->size <= CORE_FILE_MAX &&
		       irec_may_have_tail(rec, body_len);
	case INODE_TARGET:
		return type == S_IFLNK && body_len == rec->size && body_len > 0;
	default:
		return false;
	}
}

int irec_decode(const void *data, size_t len, struct irec *ret_rec, struct buf *ret_inline,
	struct blob **ret_facts)
{
	struct bytes_reader r = bytes_reader(data, len);
	struct irec rec = {0};
	_cleanup_(blob_unrefp) struct blob *facts = NULL;
	const uint8_t *body = NULL;
	size_t body_len = 0;
	unsigned sections;

	if (read_u8(&r) != IREC_FORMAT)
		return r.bad ? -EBADMSG : -EPROTONOSUPPORT;
	rec.body = read_u8(&r);
	rec.role = read_u8(&r);
	rec.flags = read_u8(&r);
	sections = read_u8(&r);
	read_fixed(&r, &rec);
	if (sections & SECTION_DIR)
		read_msum(&r, &rec.entries);
	if (sections & SECTION_XATTR) {
		rec.xattrs = read_be32(&r);
		read_msum(&r, &rec.xattr_sum);
	}
	if (sections & SECTION_MAP)
		read_map(&r, &rec.map);
	if (sections & SECTION_FACTS) {
		size_t n = read_be16(&r);
		const uint8_t *p = read_bytes(&r, n);
		if (p && !(facts = blob_new(p, n)))
			return -ENOMEM;
	}
	if (rec.body == INODE_INLINE || rec.body == INODE_TARGET || sections & SECTION_TAIL) {
		body_len = read_be32(&r);
		body = read_bytes(&r, body_len);
	}
	if (sections & SECTION_TAIL && (rec.body != INODE_MAPPED || !body_len))
		return -EBADMSG;
	if (sections > 31 || bytes_reader_end(&r) < 0 || !irec_sane(&rec, body_len))
		return -EBADMSG;
	if (body_len && buf_set(ret_inline, body, body_len) < 0)
		return -ENOMEM;
	*ret_rec = rec;
	*ret_facts = steal_ptr(facts);
	return 0;
}
