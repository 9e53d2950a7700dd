/*
 * bytes.h: big-endian codecs and a bounds-checked reader; every record of the store is written and
 * read with these, never by copying a struct.
 *
 * A reader that runs out of bytes sets `bad` and returns zeros from then on: decode everything, then
 * look at bytes_reader_end() once.  Any layer may include it.
 */
#ifndef SCRIBEFS_KV_BYTES_H
#define SCRIBEFS_KV_BYTES_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t *put_u8(uint8_t *p, uint8_t v)
{
	*p = v;
	return p + 1;
}
#define BYTES_PUT_(name, type, conv)                                                               \
	static inline uint8_t *name(uint8_t *p, type v)                                            \
	{                                                                                          \
		v = conv(v);                                                                       \
		memcpy(p, &v, sizeof v);                                                           \
		return p + sizeof v;                                                               \
	}
BYTES_PUT_(put_be16, uint16_t, htobe16)
BYTES_PUT_(put_be32, uint32_t, htobe32)
BYTES_PUT_(put_be64, uint64_t, htobe64)
#undef BYTES_PUT_

static inline uint8_t *put_bytes(uint8_t *p, const void *src, size_t len)
{
	if (len)
		memcpy(p, src, len);
	return p + len;
}

#define BYTES_GET_(name, type, conv)                                                               \
	static inline type name(const void *p)                                                     \
	{                                                                                          \
		type v;                                                                            \
		memcpy(&v, p, sizeof v);                                                           \
		return conv(v);                                                                    \
	}
BYTES_GET_(get_be16, uint16_t, be16toh)
BYTES_GET_(get_be32, uint32_t, be32toh)
BYTES_GET_(get_be64, uint64_t, be64toh)
#undef BYTES_GET_

struct bytes_reader {
	const uint8_t *p, *end;
	bool bad;
};

/* Of nothing @data may be NULL, as an empty struct buf's is: no arithmetic is done on that. */
static inline struct bytes_reader bytes_reader(const void *data, size_t len)
{
	const uint8_t *p = len ? data : "";
	return (struct bytes_reader){.p = p, .end = p + len};
}

/* The next @len bytes, or NULL (and `bad`) where there are fewer. */
static inline const uint8_t *read_bytes(struct bytes_reader *r, size_t len)
{
	const uint8_t *p = r->p;
	if (r->bad || (size_t)(r->end - r->p) < len) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	return p;
}
static inline uint8_t read_u8(struct bytes_reader *r)
{
	const uint8_t *p = read_bytes(r, 1);
	return p ? *p : 0;
}
static inline uint16_t read_be16(struct bytes_reader *r)
{
	const uint8_t *p = read_bytes(r, 2);
	return p ? get_be16(p) : 0;
}
static inline uint32_t read_be32(struct bytes_reader *r)
{
	const uint8_t *p = read_bytes(r, 4);
	return p ? get_be32(p) : 0;
}
static inline uint64_t read_be64(struct bytes_reader *r)
{
	const uint8_t *p = read_bytes(r, 8);
	return p ? get_be64(p) : 0;
}
/* 0 if all bytes were read and none was missing, else -EBADMSG. */
static inline int bytes_reader_end(const struct bytes_reader *r)
{
	return r->bad || r->p != r->end ? -EBADMSG : 0;
}

#endif
