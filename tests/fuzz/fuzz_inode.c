/*
 * fuzz_inode.c: any bytes as an inode record and as a directory entry. What is accepted encodes to
 * a record that decodes to the same bytes again.
 */
#include "fs/core/name.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool held)
{
	if (!held)
		abort();
}

static void inode_record(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf body = {0}, again_body = {0}, first = {0}, second = {0};
	_cleanup_(blob_unrefp) struct blob *facts = NULL, *again_facts = NULL;
	struct irec rec, again;
	if (irec_decode(data, size, &rec, &body, &facts) < 0)
		return;
	expect(irec_encode(&rec, &body, facts, &first) == 0);
	expect(irec_decode(first.data, first.len, &again, &again_body, &again_facts) == 0);
	expect(irec_encode(&again, &again_body, again_facts, &second) == 0);
	expect(first.len == second.len && !memcmp(first.data, second.data, first.len));
}

static void entry_record(const uint8_t *data, size_t size)
{
	uint8_t record[512], second[512];
	struct dentry d = {0}, again = {0};
	if (dentry_decode(data, size, &d) < 0)
		return;
	expect(strlen(d.name) == d.name_len && d.name_len <= CORE_NAME_MAX);
	size_t len = dentry_encode(&d, record);
	expect(len <= sizeof record && dentry_decode(record, len, &again) == 0);
	expect(dentry_encode(&again, second) == len && !memcmp(record, second, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	inode_record(data, size);
	entry_record(data, size);
	return 0;
}
