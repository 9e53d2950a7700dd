/*
 * secret.h: key bytes on the heap, in locked memory between guard pages, wiped when the scope ends.
 * Internal to kv's keyring.
 */
#ifndef SCRIBEFS_KV_SECRET_H
#define SCRIBEFS_KV_SECRET_H

#include "kv/cleanup.h"

#include <sodium.h>
#include <stdint.h>

static inline void secret_free_p(uint8_t **p)
{
	sodium_free(*p); /* wipes; NULL is fine */
}
/* On a variable that holds what sodium_malloc() gave. */
#define _cleanup_secret_ _cleanup_(secret_free_p)

#endif
