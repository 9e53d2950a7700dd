/*
 * random.h: random bytes for nonces, several of which a commit takes, without a system call for each: the
 * kernel's getrandom() in its vDSO (Linux 6.11; the C library of Debian 12 does not know it). The generator is the
 * kernel's own and is reseeded as that is, also in the copy of a process or of a running virtual machine, so no
 * copy draws what the other did: bytes kept in a buffer of ours would be.
 *
 * Source: Documentation/ABI/stable/vdso and vdso/getrandom.h of Linux. Where there is none, libsodium's
 * randombytes_buf(), which calls the kernel.
 */
#ifndef SCRIBEFS_KV_RANDOM_H
#define SCRIBEFS_KV_RANDOM_H

#include <stddef.h>

/* A generator's state, for one thread. NULL: there is none here. */
void *random_new(void);
void random_free(void *state);

/* @len random bytes. @state: random_new()'s, of this thread, or NULL. */
void random_bytes(void *state, void *ret_bytes, size_t len);

#endif
