/*
 * passphrase.h: bytes of secrets on their way from a terminal, a file or a command to the keyring.
 *
 * They lie in pages of their own that are locked where the limit allows it, left out of core dumps,
 * and wiped before they are given back. No secret comes from an argument or the environment, where
 * other processes could see it.
 */
#ifndef SCRIBEFS_TOOLS_PASSPHRASE_H
#define SCRIBEFS_TOOLS_PASSPHRASE_H

#include "kv/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

#define PASSPHRASE_MAX (64u << 10) /* bytes of a secret, a key file's included */

/* Zero-initialised is empty. */
struct secret {
	char *data; /* NULL while empty */
	size_t len;
};

/* Wipes and frees; the secret is empty then. */
void secret_release(struct secret *secret);
#define _cleanup_passphrase_ _cleanup_(secret_release)

/* Empty, with room for PASSPHRASE_MAX bytes and one more. -ENOMEM after one line. */
int secret_alloc(struct secret *ret_secret);

/*
 * Each fills an empty @ret_secret. Where one fails it has said so in one line on standard error, and
 * returns -errno.
 */

/* The whole file, "-": standard input; with @line one newline at the end is taken off. */
int secret_from_file(const char *path, bool line, struct secret *ret_secret);
/* What /bin/sh -c @command prints, one newline at the end taken off; its exit status must be 0. */
int secret_from_command(const char *command, struct secret *ret_secret);
/* Asks on the terminal, without echo. -ENOTTY, silently, where there is no terminal. */
int secret_from_terminal(const char *prompt, struct secret *ret_secret);
/*
 * Makes the file @path, 0600 and synced, with @len random bytes, which are also returned. Says nothing
 * where it fails: -EEXIST there is one, or another -errno.
 */
int secret_make_file(const char *path, size_t len, struct secret *ret_secret);

bool secret_equal(const struct secret *a, const struct secret *b);

#endif
