/*
 * fsck_corpus: damages a store on disk, for scenario/fsck.sh.
 *
 *   fsck_corpus --list                      the names, each with "mends" or "leaves"
 *   fsck_corpus STORE KEY-FILE NAME [NTH]   exit status 0 done, 77 the store has no such record
 */
#include "tests/fsck/damage.h"

#include "kv/keyring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const struct damage *d;
	uint8_t key[64 << 10];
	struct kv *kv;
	FILE *file;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (d = damages; d->name; d++)
			printf("%s %s\n", d->name, d->left ? "leaves" : "mends");
		return 0;
	}
	d = argc >= 4 ? damage_find(argv[3]) : NULL;
	file = d ? fopen(argv[2], "r") : NULL;
	if (!file)
		return 2;
	struct kv_unlock unlock = {.type = KEYRING_KEY_FILE, .secret = key};
	unlock.secret_len = fread(key, 1, sizeof key, file);
	fclose(file);
	int r = kv_open(argv[1], &unlock, NULL, &kv);
	if (r < 0) {
		fprintf(stderr, "open: %s\n", strerror(-r));
		return 1;
	}
	r = d->apply(kv, argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0);
	int closed = kv_close(kv);
	if (r < 0 || closed < 0)
		fprintf(stderr, "%s: %s\n", d->name, strerror(r < 0 ? -r : -closed));
	return r == -ENOENT ? 77 : r < 0 || closed < 0;
}
