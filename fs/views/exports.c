/*
 * exports.c: exports/: the folders of users/ again, with documents in them instead of messages.
 *
 * A folder has the rights of the directory that it mirrors without those to write, its ACL too; a document
 * those of its folder to read, as far as each message grants them. Nothing here is cached by the kernel: a
 * change of a session is seen by the next look. SESSION@SNAPSHOT, which is not listed, is what it was (past_folder.h).
 */
#include "fs/views/folder.h"
#include "fs/views/past_folder.h"
#include "fs/views/reader.h"
#include "fs/views/shelf.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>
#include <string.h>

#define LIST_AT_ONCE 256
#define COOKIE_FOLDERS 1024 /* core's cookies of folders are far above */

struct exports {
	struct sessions *sessions;
	struct shelves *shelves;
};

static int exports_start(struct sessions *sessions, struct catalogue *catalogue, void **ret_state)
{
	struct exports *e = calloc(1, sizeof *e);
	int r = e ? shelves_open(sessions, catalogue, &e->shelves) : -ENOMEM;

	if (r < 0) {
		free(e);
		return r;
	}
	e->sessions = sessions;
	*ret_state = e;
	return 0;
}

static void exports_stop(void *state)
{
	struct exports *e = state;

	shelves_close(e->shelves);
	free(e);
}

static bool is_folder(uint8_t role)
{
	return role == ROLE_USERS || role == ROLE_USER || role == ROLE_WORKFLOW || role == ROLE_SESSION;
}

/* ---- attributes -------------------------------------------------------------------------------- */

/* The directory's, without the rights to write. */
static int folder_attr(struct exports *e, uint64_t ino, struct stat *ret_st)
{
	struct stat st;
	int r = document_is_past(ino) ? past_folder_attr(e->sessions, document_dir(ino), &st)
				      : core_getattr(session_core(e->sessions), document_dir(ino), &st, NULL);

	if (r < 0)
		return r;
	*ret_st = (struct stat){.st_ino = ino, .st_mode = S_IFDIR | (st.st_mode & 0555), .st_nlink = 1,
		.st_uid = st.st_uid, .st_gid = st.st_gid, .st_blksize = 4096, .st_atim = st.st_mtim,
		.st_mtim = st.st_mtim, .st_ctim = st.st_ctim};
	return 0;
}

static bool has_acl(struct exports *e, uint64_t dir)
{
	_cleanup_buf_ struct buf acl = {0};

	return core_getxattr(session_core(e->sessions), dir, XATTR_NAME_POSIX_ACL_ACCESS, &acl) != -ENODATA;
}

/* r where the folder grants r and x, and everything in the document may be read. */
static mode_t document_mode(mode_t folder, unsigned readers)
{
	mode_t mode = 0;

	for (unsigned shift = 0; shift <= 6; shift += 3)
		if ((folder >> shift & 5) == 5 && (readers & 1u << shift / 3))
			mode |= 4u << shift;
	return mode;
}

/* What the shelf knows, and who may read what the document is made of beside the messages. */
static int look_at(struct exports *e, uint64_t ino, bool session, struct look *ret_look)
{
	const struct document *d = document_find(session, document_number(ino));
	int r = shelf_look(e->shelves, ino, ret_look);

	return r == 0 && d && d->context
		       ? session_context_readers(e->sessions, document_dir(ino), &ret_look->readers)
		       : r;
}

static int document_attr(struct exports *e, uint64_t ino, struct stat *ret_st)
{
	struct look look;
	struct stat st;
	int r = folder_attr(e, ino, &st);

	bool list = session_role(e->sessions, document_dir(ino)) != ROLE_SESSION;

	if (r == 0)
		r = look_at(e, ino, !list, &look);
	if (r < 0)
		return r;
	/* A list of sessions with their own ACLs is nobody's but the owner's: folder.h. */
	if (list && has_acl(e, document_dir(ino)))
		look.readers &= 4;
	st.st_mode = S_IFREG | document_mode(st.st_mode, look.readers);
	st.st_size = (off_t)look.size;
	st.st_blocks = (blkcnt_t)((look.size + 511) / 512);
	st.st_atim = st.st_mtim = st.st_ctim = look.changed;
	*ret_st = st;
	return 0;
}

static int exports_getattr(void *state, const struct viewer *who, uint64_t ino, struct stat *ret_st, bool *ret_fleeting)
{
	struct exports *e = state;
	uint32_t number = document_number(ino);

	*ret_fleeting = true;
	if (!is_folder(session_role(e->sessions, document_dir(ino))))
		return -ENOENT;
	return number <= DOCUMENT_PAGES ? folder_attr(e, ino, ret_st) : document_attr(e, ino, ret_st);
}

/* ---- names ------------------------------------------------------------------------------------- */

static int make_entry(struct exports *e, uint64_t ino, struct core_entry *ret_entry)
{
	struct core_entry entry = {.ino = ino, .generation = 1, .fleeting_name = true};
	int r = exports_getattr(e, NULL, ino, &entry.st, &entry.fleeting_attr);

	if (r == 0)
		*ret_entry = entry;
	return r;
}

/* The folder that mirrors the directory @name in @dir. */
static int find_folder(struct exports *e, uint64_t dir, const char *name, uint64_t *ret_ino)
{
	struct core *core = session_core(e->sessions);
	struct core_entry entry;

	if (name[0] == '.')
		return -ENOENT;
	int r = core_lookup(core, dir, name, &entry);
	if (r < 0)
		return r;
	bool folder = S_ISDIR(entry.st.st_mode) && is_folder(session_role(e->sessions, entry.ino));
	*ret_ino = document_ino(entry.ino, DOCUMENT_FOLDER);
	core_forget(core, entry.ino, 1);
	return folder ? 0 : -ENOENT;
}

static int find_page(struct exports *e, uint64_t dir, bool session, const char *name, uint64_t *ret_ino)
{
	uint32_t page = document_page(session, name);
	size_t total;

	if (page == UINT32_MAX)
		return -ENOENT;
	int r = shelf_total(e->shelves, dir, &total);
	if (r < 0)
		return r;
	*ret_ino = document_ino(dir, DOCUMENT_PAGE + page);
	return page < document_pages_of(session, total) ? 0 : -ENOENT;
}

static int exports_lookup(void *state, const struct viewer *who, uint64_t parent, const char *name,
	struct core_entry *ret_entry)
{
	struct exports *e = state;
	uint64_t dir = document_dir(parent), ino = 0;
	uint8_t role = session_role(e->sessions, dir);
	bool session = role == ROLE_SESSION;
	int r = 0;

	if (!is_folder(role))
		return -ENOENT;
	if (document_number(parent) > DOCUMENT_PAGES)
		return -ENOTDIR;
	if (strcmp(name, ".") == 0)
		return make_entry(e, parent, ret_entry);
	if (document_number(parent) == DOCUMENT_PAGES) {
		r = find_page(e, dir, session, name, &ino);
		return r < 0 ? r : make_entry(e, ino, ret_entry);
	}
	if (strcmp(name, document_pages(session)) == 0 && !document_is_past(parent))
		return make_entry(e, document_ino(dir, DOCUMENT_PAGES), ret_entry);
	for (const struct document *d = documents(session); d->name; d++)
		if (strcmp(name, d->name) == 0)
			return make_entry(e, document_ino(dir, d->number), ret_entry);
	r = session ? -ENOENT : find_folder(e, dir, name, &ino);
	if (r == -ENOENT && role == ROLE_WORKFLOW) {
		uint64_t past;
		r = past_folder_find(e->sessions, dir, name, &past);
		if (r == 0)
			ino = document_ino(past, DOCUMENT_FOLDER);
	}
	return r < 0 ? r : make_entry(e, ino, ret_entry);
}

/* ---- listings ---------------------------------------------------------------------------------- */

struct list {
	core_fill fill;
	void *arg;
	uint64_t cookie; /* begin after this one */
	uint64_t at;	 /* of the last entry */
};

/* No attributes: those of a document may have to be rendered, and whoever wants them asks. */
static int put(struct list *l, const char *name, mode_t type, uint64_t ino)
{
	struct core_dirent d = {.name = name, .type = type, .ino = ino, .cookie = ++l->at};

	return l->at <= l->cookie ? 0 : l->fill(l->arg, &d);
}

static int put_dots(struct list *l, uint64_t ino)
{
	int r = put(l, ".", S_IFDIR, ino);

	return r ? r : put(l, "..", S_IFDIR, VIEWS_ROOT_INO);
}

static int list_pages(struct exports *e, uint64_t ino, bool session, struct list *l)
{
	uint64_t dir = document_dir(ino);
	char name[DOCUMENT_NAME];
	size_t total;
	int r = shelf_total(e->shelves, dir, &total);

	if (r == 0)
		r = put_dots(l, ino);
	for (uint32_t page = 0; r == 0 && page < document_pages_of(session, total); page++) {
		document_page_name(session, page, name);
		r = put(l, name, S_IFREG, document_ino(dir, DOCUMENT_PAGE + page));
	}
	return r;
}

static int list_documents(uint64_t ino, bool session, struct list *l)
{
	uint64_t dir = document_dir(ino);
	int r = put_dots(l, ino);

	for (const struct document *d = documents(session); d->name && r == 0; d++)
		r = put(l, d->name, S_IFREG, document_ino(dir, d->number));
	if (r || document_is_past(ino))
		return r;
	return put(l, document_pages(session), S_IFDIR, document_ino(dir, DOCUMENT_PAGES));
}

/* A document's name hides a folder that is called like it. */
static bool is_document(const char *name)
{
	for (const struct document *d = documents(false); d->name; d++)
		if (strcmp(d->name, name) == 0)
			return true;
	return strcmp(name, document_pages(false)) == 0;
}

static int list_folders(struct exports *e, uint64_t dir, uint64_t cookie, struct list *l)
{
	uint64_t from = cookie < COOKIE_FOLDERS ? 0 : cookie;
	size_t n = LIST_AT_ONCE;
	int r = 0;

	while (r == 0 && n == LIST_AT_ONCE) {
		_cleanup_(folder_entries_release) struct folder_entries entries = {0};
		r = folder_list(e->sessions, dir, from, LIST_AT_ONCE, &entries);
		n = entries.n;
		for (size_t i = 0; i < n && r == 0; i++) {
			const struct folder_entry *f = &entries.at[i];
			struct core_dirent d = {.name = f->name, .type = S_IFDIR, .cookie = f->cookie,
				.ino = document_ino(f->ino, DOCUMENT_FOLDER)};
			from = f->cookie;
			if (!is_document(f->name))
				r = l->fill(l->arg, &d);
		}
	}
	return r;
}

static int exports_readdir(void *state, const struct viewer *who, uint64_t ino, uint64_t cookie, bool with_attr,
	core_fill fill, void *arg)
{
	struct exports *e = state;
	uint64_t dir = document_dir(ino);
	uint8_t role = session_role(e->sessions, dir);
	bool session = role == ROLE_SESSION;
	struct list l = {.fill = fill, .arg = arg, .cookie = cookie};
	int r;

	if (!is_folder(role))
		return -ENOENT;
	if (document_number(ino) > DOCUMENT_PAGES)
		return -ENOTDIR;
	if (document_number(ino) == DOCUMENT_PAGES)
		r = list_pages(e, ino, session, &l);
	else
		r = list_documents(ino, session, &l);
	if (r == 0 && !session && document_number(ino) == DOCUMENT_FOLDER)
		r = list_folders(e, dir, cookie, &l);
	return r < 0 ? r : 0;
}

/* ---- extended attributes ----------------------------------------------------------------------- */

/* The folder's ACL for a folder or document with the rights @mode. */
static int get_acl(struct exports *e, uint64_t ino, struct buf *ret_value)
{
	uint32_t number = document_number(ino);
	struct look look = {.readers = 7};
	int r = core_getxattr(session_core(e->sessions), document_dir(ino), XATTR_NAME_POSIX_ACL_ACCESS,
		ret_value);

	if (r < 0)
		return r;
	if (number > DOCUMENT_PAGES) {
		if (session_role(e->sessions, document_dir(ino)) != ROLE_SESSION)
			return -ENODATA;
		r = look_at(e, ino, true, &look);
		if (r < 0)
			return r;
	}
	for (size_t at = sizeof(struct posix_acl_xattr_header);
		at + sizeof(struct posix_acl_xattr_entry) <= ret_value->len;
		at += sizeof(struct posix_acl_xattr_entry)) {
		uint8_t *tag = ret_value->data + at, *perm = tag + 2; /* little-endian u16, u16, u32 */
		unsigned have = perm[0] & 5;
		if (number > DOCUMENT_PAGES) {
			have = have == 5 ? 4 : 0;
			bool denied = (tag[0] == 1 && !(look.readers & 4)) || /* owner, mask, others */
				      (tag[0] == 16 && !(look.readers & 2)) ||
				      (tag[0] == 32 && !(look.readers & 1));
			have = denied ? 0 : have;
		}
		perm[0] = (uint8_t)have;
	}
	return 0;
}

static int exports_getxattr(void *state, uint64_t ino, const char *name, struct buf *ret_value)
{
	struct exports *e = state;

	if (!is_folder(session_role(e->sessions, document_dir(ino))))
		return -ENODATA;
	if (document_is_past(ino))
		return -ENODATA;
	ret_value->len = 0;
	if (strcmp(name, XATTR_NAME_POSIX_ACL_ACCESS) == 0)
		return get_acl(e, ino, ret_value);
	if (strcmp(name, "user.scribefs.rendered") == 0 && document_number(ino) == DOCUMENT_FOLDER)
		return buf_printf(ret_value, "%" PRIu64, shelves_rendered(e->shelves));
	return -ENODATA;
}

/* ---- files ------------------------------------------------------------------------------------- */

static int exports_open(void *state, uint64_t ino, void **ret_file)
{
	struct exports *e = state;

	if (document_number(ino) <= DOCUMENT_PAGES)
		return -EISDIR;
	return reader_open(e->shelves, ino, (struct reader **)ret_file);
}

static ssize_t exports_read(void *state, uint64_t ino, void *file, void *data, size_t size, off_t offset)
{
	return offset < 0 ? -EINVAL : reader_read(file, data, size, (uint64_t)offset);
}

static void exports_release(void *state, void *file)
{
	reader_close(file);
}

const struct tree tree_exports = {
	.name = "exports",
	.type = S_IFDIR,
	.first = TREE_BASE(EXPORTS_TREE) | (uint64_t)(CORE_ROOT_INO >> 8) << 24,
	.last = TREE_LAST(EXPORTS_TREE),
	.beyond = VIEWS_BIT | DOCUMENT_PAST,
	.start = exports_start,
	.stop = exports_stop,
	.lookup = exports_lookup,
	.getattr = exports_getattr,
	.readdir = exports_readdir,
	.getxattr = exports_getxattr,
	.open = exports_open,
	.read = exports_read,
	.release = exports_release,
};
