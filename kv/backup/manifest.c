#include "kv/backup/folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void manifest_release(struct manifest *m)
{
	free(m->file);
	*m = (struct manifest){0};
}

/* ---- decoding -------------------------------------------------------------------------------- */

static bool name_valid(const char *name)
{
	return *name && *name != '.' && strlen(name) <= MANIFEST_NAME_MAX &&
		strspn(name, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-_") == strlen(name);
}

static bool hex_valid(const char *hex)
{
	return strlen(hex) == DIGEST_HEX - 1 && strspn(hex, "0123456789abcdef") == DIGEST_HEX - 1;
}

/* The next line without its newline, or NULL; a last line without newline is none. */
static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');
	if (!end)
		return NULL;
	*end = 0;
	*at = end + 1;
	return line;
}

static int add_file(struct manifest *m, size_t *cap, const char *hex, const char *name)
{
	if (!hex_valid(hex) || !name_valid(name))
		return -EBADMSG;
	/* Sorted, so that no name is there twice. */
	if (m->files > 0 && strcmp(m->file[m->files - 1].name, name) >= 0)
		return -EBADMSG;
	if (m->files == *cap) {
		*cap = *cap ? 2 * *cap : 64;
		struct manifest_file *file = reallocarray(m->file, *cap, sizeof *file);
		if (!file)
			return -ENOMEM;
		m->file = file;
	}
	struct manifest_file *f = &m->file[m->files++];
	*f = (struct manifest_file){0};
	strcpy(f->hex, hex);
	strcpy(f->name, name);
	return 0;
}

static int parse_manifest(char *text, struct manifest *m)
{
	size_t cap = 0;
	char *line;
	while ((line = next_line(&text))) {
		char *space = strstr(line, "  db/");
		if (!space)
			return -EBADMSG;
		*space = 0;
		int r = add_file(m, &cap, line, space + 5);
		if (r < 0)
			return r;
	}
	return *text ? -EBADMSG : 0;
}

static int parse_sources(char *text, struct manifest *m)
{
	char *line, hex[DIGEST_HEX + 1], name[MANIFEST_NAME_MAX + 2];
	for (size_t i = 0; (line = next_line(&text)); i++) {
		struct manifest_file *f = i < m->files ? &m->file[i] : NULL;
		if (!f ||
			sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNd64 " %129s %64s", &f->source_ino,
				&f->source_size, &f->source_mtime, hex, name) != 5 ||
			strcmp(hex, f->hex) != 0 || strcmp(name, f->name) != 0)
			return -EBADMSG;
	}
	return 0;
}

/* The text of `complete` up to its MAC. */
static int render_complete(const struct manifest *m, const char *manifest_hex, const char *sources_hex,
	struct buf *ret_text)
{
	int r = buf_printf(ret_text, "scribefs-backup 1\nstore ");
	for (size_t i = 0; r == 0 && i < sizeof m->store_id; i++)
		r = buf_printf(ret_text, "%02x", m->store_id[i]);
	if (r == 0)
		r = buf_printf(ret_text, "\nmade %" PRId64 "\nsequence %" PRIu64 "\nmanifest %s\nsources %s\n",
			m->made, m->sequence, manifest_hex, sources_hex);
	return r;
}

struct complete {
	char manifest[DIGEST_HEX + 1], sources[DIGEST_HEX + 1], mac[DIGEST_MAC_HEX + 1];
};

static int parse_complete(const char *text, struct manifest *m, struct complete *c)
{
	char id[34], end;
	if (strncmp(text, "scribefs-backup 1\n", 18) != 0)
		return strncmp(text, "scribefs-backup ", 16) == 0 ? -EPROTONOSUPPORT : -EBADMSG;
	if (sscanf(text + 18,
		    "store %33s made %" SCNd64 " sequence %" SCNu64 " manifest %129s sources %129s mac %65s %c", id,
		    &m->made, &m->sequence, c->manifest, c->sources, c->mac, &end) != 6)
		return -EBADMSG;
	if (strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32 || !hex_valid(c->manifest) ||
		!hex_valid(c->sources) || strlen(c->mac) != DIGEST_MAC_HEX - 1)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof m->store_id; i++) {
		unsigned byte;
		sscanf(id + 2 * i, "%2x", &byte);
		m->store_id[i] = (uint8_t)byte;
	}
	return 0;
}

static int check_mac(const struct manifest *m, const struct complete *c, const struct buf *text, const uint8_t *key)
{
	_cleanup_(buf_release) struct buf again = {0};
	char mac[DIGEST_MAC_HEX];
	int r = render_complete(m, c->manifest, c->sources, &again);
	if (r < 0)
		return r;
	/* One way to write it: anything else is not ours. */
	if (again.len > text->len || memcmp(again.data, text->data, again.len) != 0)
		return -EBADMSG;
	if (!key)
		return 0;
	digest_mac(again.data, again.len, key, mac);
	return digest_equal(mac, c->mac) ? 0 : -EBADMSG;
}

static int load_part(int dir, const char *name, const char *hex, struct buf *ret_text)
{
	char found[DIGEST_HEX];
	int r = folder_read_text(dir, name, ret_text);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	digest_bytes(ret_text->data, ret_text->len, found);
	return digest_equal(found, hex) ? 0 : -EBADMSG;
}

int manifest_load(int dir, const uint8_t *mac_key, struct manifest *ret_manifest, const char **ret_bad)
{
	_cleanup_(buf_release) struct buf text = {0}, files = {0}, sources = {0};
	_cleanup_manifest_ struct manifest m = {0};
	struct complete c;
	const char *bad = "complete";
	int r = folder_read_text(dir, "complete", &text);
	if (r == -ENOENT)
		return -EAGAIN;
	if (r == 0)
		r = parse_complete((char *)text.data, &m, &c);
	if (r == 0)
		r = check_mac(&m, &c, &text, mac_key);
	if (r == 0) {
		bad = "manifest";
		r = load_part(dir, bad, c.manifest, &files);
	}
	if (r == 0)
		r = parse_manifest((char *)files.data, &m);
	if (r == 0) {
		bad = "sources";
		r = load_part(dir, bad, c.sources, &sources);
	}
	if (r == 0)
		r = parse_sources((char *)sources.data, &m);
	if (r < 0) {
		if (ret_bad)
			*ret_bad = bad;
		return r;
	}
	*ret_manifest = m;
	m = (struct manifest){0};
	return 0;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct manifest_file *)a)->name, ((const struct manifest_file *)b)->name);
}

int manifest_store(int dir, struct manifest *m, const uint8_t mac_key[32])
{
	_cleanup_(buf_release) struct buf files = {0}, sources = {0}, complete = {0};
	char manifest_hex[DIGEST_HEX], sources_hex[DIGEST_HEX], mac[DIGEST_MAC_HEX];
	int r = 0;
	if (m->files)
		qsort(m->file, m->files, sizeof *m->file, by_name);
	for (size_t i = 0; r == 0 && i < m->files; i++) {
		const struct manifest_file *f = &m->file[i];
		r = buf_printf(&files, "%s  db/%s\n", f->hex, f->name);
		if (r == 0)
			r = buf_printf(&sources, "%" PRIu64 " %" PRIu64 " %" PRId64 " %s %s\n", f->source_ino,
				f->source_size, f->source_mtime, f->hex, f->name);
	}
	if (r == 0)
		r = folder_write_text(dir, "manifest", &files);
	if (r == 0)
		r = folder_write_text(dir, "sources", &sources);
	if (r < 0)
		return r;
	digest_bytes(files.data, files.len, manifest_hex);
	digest_bytes(sources.data, sources.len, sources_hex);
	r = render_complete(m, manifest_hex, sources_hex, &complete);
	if (r < 0)
		return r;
	digest_mac(complete.data, complete.len, mac_key, mac);
	r = buf_printf(&complete, "mac %s\n", mac);
	return r < 0 ? r : folder_write_text(dir, "complete", &complete);
}

const struct manifest_file *manifest_find(const struct manifest *m, const char *hex)
{
	for (size_t i = 0; i < m->files; i++)
		if (strcmp(m->file[i].hex, hex) == 0)
			return &m->file[i];
	return NULL;
}

const struct manifest_file *manifest_find_source(const struct manifest *m, uint64_t ino, uint64_t size,
	int64_t mtime)
{
	for (size_t i = 0; i < m->files; i++) {
		const struct manifest_file *f = &m->file[i];
		if (f->source_ino == ino && f->source_size == size && f->source_mtime == mtime)
			return f;
	}
	return NULL;
}

/* ---- the last check -------------------------------------------------------------------------- */

int manifest_verdict_load(int dir, int64_t *ret_when, bool *ret_ok)
{
	_cleanup_(buf_release) struct buf text = {0};
	char word[8] = "";
	int64_t when = 0;
	int r = folder_read_text(dir, "verified", &text);
	if (r == -ENOENT || r == -EBADMSG) {
		*ret_when = 0;
		*ret_ok = true;
		return 0;
	}
	if (r < 0)
		return r;
	if (sscanf((char *)text.data, "%7s %" SCNd64, word, &when) != 2)
		when = 0;
	*ret_when = when;
	*ret_ok = strcmp(word, "bad") != 0;
	return 0;
}

int manifest_verdict_store(int dir, bool ok)
{
	_cleanup_(buf_release) struct buf text = {0};
	int r = buf_printf(&text, "%s %" PRId64 "\n", ok ? "ok" : "bad", (int64_t)time(NULL));
	return r < 0 ? r : folder_write_text(dir, "verified", &text);
}
