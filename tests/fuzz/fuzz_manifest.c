/*
 * fuzz_manifest.c: what a backup says of itself: `complete`, `manifest`, `sources` and `verified`, whose bytes the
 * input has, a NUL between them. As such, and with check sums and the MAC that are good. What is accepted is
 * stored again as it was read.
 */
#include "kv/backup/folder.h"
#include "tests/fuzz/world.h"

#include <sys/stat.h>
#include <unistd.h>

static char path[PATH_MAX], path_again[PATH_MAX];
static const uint8_t key[32] = {6};

static int open_new(char ret_path[PATH_MAX])
{
	make_folder(ret_path);
	return open(ret_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void put(int dir, const char *name, const uint8_t *data, size_t len)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	expect(fd >= 0 && write(fd, data, len) == (ssize_t)len);
}

static struct input next_part(struct input *in)
{
	const uint8_t *nul = in->left ? memchr(in->p, 0, in->left) : NULL;
	struct input part = input_part(in, nul ? (size_t)(nul - in->p) : in->left);

	input_u8(in);
	return part;
}

static void check(int dir, int other, const uint8_t *mac_key)
{
	_cleanup_manifest_ struct manifest m = {0}, again = {0};
	const char *bad = NULL;
	int r = manifest_load(dir, mac_key, &m, &bad);

	expect(r == 0 || bad || r == -EAGAIN);
	if (r < 0)
		return;
	for (size_t i = 0; i < m.files; i++) {
		const struct manifest_file *f = &m.file[i];
		expect(manifest_find(&m, f->hex) && !strchr(f->name, '/') && f->name[0] != '.');
		expect(manifest_find_source(&m, f->source_ino, f->source_size, f->source_mtime));
	}
	/* The same, but for what was not in its one form (a plus sign before a number). */
	expect(manifest_store(other, &m, key) == 0 && manifest_load(other, key, &again, NULL) == 0);
	expect(again.files == m.files && again.made == m.made && again.sequence == m.sequence);
	expect(m.files == 0 || memcmp(again.file, m.file, m.files * sizeof *m.file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int dir = -1, other;
	struct input in = {data, size}, complete = next_part(&in), manifest = next_part(&in),
		sources = next_part(&in);
	_cleanup_buf_ struct buf text = {0};
	char hex[DIGEST_HEX], mac[DIGEST_MAC_HEX];
	int64_t when;
	bool ok;

	if (dir < 0) {
		dir = open_new(path);
		other = open_new(path_again);
	}
	if (size > 1 << 16)
		return 0;
	put(dir, "complete", complete.p, complete.left);
	put(dir, "manifest", manifest.p, manifest.left);
	put(dir, "sources", sources.p, sources.left);
	put(dir, "verified", in.p, in.left);
	check(dir, other, NULL);
	check(dir, other, key);
	expect(manifest_verdict_load(dir, &when, &ok) == 0);

	/* Once more, with what a forger gets right, too. */
	expect(buf_append(&text, complete.p, complete.left) == 0);
	digest_bytes(manifest.p, manifest.left, hex);
	expect(buf_printf(&text, "manifest %s\n", hex) == 0);
	digest_bytes(sources.p, sources.left, hex);
	expect(buf_printf(&text, "sources %s\n", hex) == 0);
	digest_mac(text.data, text.len, key, mac);
	expect(buf_printf(&text, "mac %s\n", mac) == 0);
	put(dir, "complete", text.data, text.len);
	check(dir, other, key);
	return 0;
}
