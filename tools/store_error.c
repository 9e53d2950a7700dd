#include "tools/store_error.h"

#include "fs/fuse/explain.h"
#include "tools/command.h"

int store_failed(const char *store, enum keyring_slot_type type, int error)
{
	explain_store(store, type, error);
	return STATUS_FAILED;
}

int store_read_info(const char *store, struct keyring_info *ret_info)
{
	int r = keyring_read_info(store, ret_info);
	if (r < 0)
		store_failed(store, 0, r);
	return r;
}
