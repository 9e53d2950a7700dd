/*
 * dictionary.h: the dictionaries that packed values need, kept in memory once they were used. Internal to kv.
 *
 * Rows of KV_SYS, sealed with the domain's own key: u32 domain, u8 kind (KV_ROW_DICTIONARY, KV_ROW_DICTIONARY_COPY:
 * the same again, in another block), u32 number.
 *    0  u8   format (1)
 *    1  u64  bytes that it was trained from
 *    9  …    the dictionary as zstd defines it, with KV_DICTIONARY_FIRST_ID + number as its id
 * A frame names its dictionary by that id.
 *
 * Any thread. One lock, under which nothing else is taken.
 */
#ifndef SCRIBEFS_KV_DICTIONARY_H
#define SCRIBEFS_KV_DICTIONARY_H

#include "kv/kv.h"

#include <zstd.h>

/* zstd reserves those below 32768. */
#define KV_DICTIONARY_FIRST_ID 32768u

struct dictionaries;

int dictionaries_new(struct kv *kv, struct dictionaries **ret_dictionaries);
void dictionaries_free(struct dictionaries *d);
/* None of the domain's is kept in memory any more. */
void dictionaries_forget(struct dictionaries *d, uint32_t domain);

/*
 * Opens @frame, whose content has @size bytes, into @ret_content. -EBADMSG: no frame of that size, or neither
 * copy of its dictionary can be read.
 */
int dictionary_decompress(struct dictionaries *d, uint32_t domain, ZSTD_DCtx *context, const void *frame, size_t len,
	void *ret_content, size_t size);

#endif
