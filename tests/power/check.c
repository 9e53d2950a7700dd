/*
 * check STORE KEYFILE: opens the store's key-value store, as a mount does, and says in one line what it
 * found: "commit N of M, clean|unclean, sum ok|wrong". Exit status 1 where there is anything to complain.
 */
#include "kv/kv_internal.h"

#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	uint8_t secret[64 << 10];
	struct kv_unlock unlock = {.type = KEYRING_KEY_FILE, .secret = secret};
	struct kv_state state;
	struct kv *kv;
	ssize_t n;
	int fd, r, sum;

	if (argc != 3)
		return 2;
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, secret, sizeof secret);
	if (n < 0)
		return 2;
	close(fd);
	unlock.secret_len = (size_t)n;
	r = kv_open(argv[1], &unlock, NULL, &kv);
	if (r < 0) {
		printf("cannot be opened: %s\n", strerror(-r));
		return 1;
	}
	kv_get_state(kv, &state);
	sum = kv_verify_sum(kv);
	printf("commit %llu of %llu, %s%s%s, sum %s\n", (unsigned long long)state.sequence,
		(unsigned long long)state.expected, state.unclean ? "unclean" : "clean",
		state.damaged ? ", damaged" : "", state.mark_lost ? ", mark lost" : "",
		sum == 0 ? "ok" : "wrong");
	r = kv_close(kv);
	return r < 0 || sum < 0 || state.damaged || state.mark_lost;
}
