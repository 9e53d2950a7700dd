/*
 * crc.h: CRC-32C (Castagnoli, RFC 3720), which RocksDB guards each fragment of its log with. Knows nothing
 * of RocksDB; any thread.
 */
#ifndef SCRIBEFS_KV_ENGINE_CRC_H
#define SCRIBEFS_KV_ENGINE_CRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the processor has an instruction for it. */
bool crc_is_fast(void);
/* The CRC of what @crc is the CRC of (0: nothing) and the @len bytes that follow it. */
uint32_t crc_extend(uint32_t crc, const void *bytes, size_t len);
/* The same without that instruction. */
uint32_t crc_extend_plain(uint32_t crc, const void *bytes, size_t len);

#endif
