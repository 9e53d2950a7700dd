#include "fs/views/kept.h"

#include "fs/views/render/render.h"
#include "kv/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_FORMAT 2

void kept_release(struct kept_sizes *sizes)
{
	free(sizes->at);
	*sizes = (struct kept_sizes){0};
}

bool kept_get(const struct kept_sizes *sizes, uint32_t document, uint64_t *ret_size)
{
	for (size_t i = 0; i < sizes->n; i++)
		if (sizes->at[i].document == document) {
			*ret_size = sizes->at[i].size;
			return true;
		}
	return false;
}

void kept_set(struct kept_sizes *sizes, uint32_t document, uint64_t size)
{
	for (size_t i = 0; i < sizes->n; i++)
		if (sizes->at[i].document == document) {
			sizes->at[i].size = size;
			return;
		}
	if (sizes->n == sizes->room) {
		size_t room = sizes->room ? sizes->room * 2 : 16;
		struct kept_size *grown = realloc(sizes->at, room * sizeof *grown);
		if (!grown)
			return;
		sizes->at = grown;
		sizes->room = room;
	}
	sizes->at[sizes->n++] = (struct kept_size){document, size};
}

void kept_forget(struct kept_sizes *sizes, uint32_t document)
{
	for (size_t i = 0; i < sizes->n; i++)
		if (sizes->at[i].document == document)
			sizes->at[i--] = sizes->at[--sizes->n];
}

int kept_encode(const uint8_t source[16], unsigned readers, uint64_t files, const struct kept_sizes *sizes,
	struct buf *ret_record)
{
	uint16_t n = sizes->n < KEPT_MAX ? (uint16_t)sizes->n : KEPT_MAX;
	uint8_t head[30], *p = head;

	p = put_be16(put_u8(p, KEPT_FORMAT), RENDER_VERSION);
	p = put_bytes(p, source, 16);
	p = put_be16(put_be64(put_u8(p, (uint8_t)readers), files), n);
	int r = buf_append(ret_record, head, (size_t)(p - head));
	for (uint16_t i = 0; i < n && r == 0; i++) {
		uint8_t one[12];
		put_be64(put_be32(one, sizes->at[i].document), sizes->at[i].size);
		r = buf_append(ret_record, one, sizeof one);
	}
	return r;
}

int kept_decode(const struct buf *record, const uint8_t source[16], unsigned *ret_readers, uint64_t *ret_files,
	struct kept_sizes *ret_sizes)
{
	struct bytes_reader r = bytes_reader(record->data, record->len);
	uint8_t format = read_u8(&r);
	uint16_t version = read_be16(&r);
	const uint8_t *of = read_bytes(&r, 16);

	if (!of)
		return -EBADMSG;
	if (format != KEPT_FORMAT || version != RENDER_VERSION || memcmp(of, source, 16) != 0)
		return -ENOENT;
	unsigned readers = read_u8(&r);
	uint64_t files = read_be64(&r);
	for (uint16_t n = read_be16(&r); n > 0 && !r.bad; n--) {
		uint32_t document = read_be32(&r);
		uint64_t size = read_be64(&r);
		if (!r.bad)
			kept_set(ret_sizes, document, size);
	}
	if (bytes_reader_end(&r) < 0 || readers > 7) {
		kept_release(ret_sizes);
		return -EBADMSG;
	}
	*ret_readers = readers;
	*ret_files = files;
	return 0;
}
