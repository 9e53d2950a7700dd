#include "kv/engine/crc.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* its bits reversed */

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
		table[i] = c;
	}
}

uint32_t crc_extend_plain(uint32_t crc, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint32_t c = ~crc;

	pthread_once(&table_once, table_fill);
	while (len--)
		c = table[(c ^ *p++) & 0xff] ^ c >> 8;
	return ~c;
}

#ifdef __x86_64__

bool crc_is_fast(void)
{
	return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t extend_fast(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = ~crc, word;

	for (; len >= sizeof word; len -= sizeof word, p += sizeof word) {
		memcpy(&word, p, sizeof word);
		c = __builtin_ia32_crc32di(c, word);
	}
	while (len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
	return ~(uint32_t)c;
}

#else

bool crc_is_fast(void)
{
	return false;
}

static uint32_t extend_fast(uint32_t crc, const uint8_t *p, size_t len)
{
	return crc_extend_plain(crc, p, len);
}

#endif

uint32_t crc_extend(uint32_t crc, const void *bytes, size_t len)
{
	return crc_is_fast() ? extend_fast(crc, bytes, len) : crc_extend_plain(crc, bytes, len);
}
