/*
 * fuzz_acl.c: any bytes as a POSIX ACL. What is accepted survives a round trip and every chmod, and
 * says the mode that it was given.
 */
#include "fs/core/acl.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool held)
{
	if (!held)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct acl *acl = NULL, *again = NULL;
	_cleanup_buf_ struct buf value = {0};
	if (acl_decode(data, size, &acl) < 0 || !acl)
		return 0;
	expect(acl_encode(acl, &value) == 0 && value.len == size);
	expect(acl_decode(value.data, value.len, &again) == 0 && again->n == acl->n);
	expect(acl_mode(again, NULL) == acl_mode(acl, NULL));
	for (mode_t mode = 0; mode < 01000; mode += 0111) {
		acl_set_mode(acl, mode);
		expect(acl_mode(acl, NULL) == mode);
		expect(acl_restrict(again, mode) == acl_mode(again, NULL));
	}
	return 0;
}
