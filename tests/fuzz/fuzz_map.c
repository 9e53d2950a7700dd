/*
 * fuzz_map.c: any bytes as a map page. What is accepted encodes to the same bytes again.
 */
#include "fs/core/map.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t record[MAP_PAGE_BYTES];
	struct map_page page;

	if (map_page_decode(data, size, &page) < 0)
		return 0;
	map_page_encode(&page, record);
	if (size != sizeof record || memcmp(record, data, size))
		abort();
	return 0;
}
