/*
 * store_error.h: what went wrong with a store, in one line that says what to do.
 */
#ifndef SCRIBEFS_TOOLS_STORE_ERROR_H
#define SCRIBEFS_TOOLS_STORE_ERROR_H

#include "kv/keyring.h"

/*
 * Prints the line for @error (-errno, from kv_ or keyring_) about @store and returns STATUS_FAILED.
 * @type is the secret that was tried, 0 if none was.
 */
int store_failed(const char *store, enum keyring_slot_type type, int error);

/* keyring_read_info(), and its line where it fails. 0 or -errno. */
int store_read_info(const char *store, struct keyring_info *ret_info);

#endif
