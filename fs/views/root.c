/*
 * root.c: the mount's root: README.md and users/.
 */
#include "fs/views/root.h"

#include <errno.h>

#include <string.h>

#define README_INO 2
#define COOKIE_README 3
#define COOKIE_USERS 4

static const char readme[] =
        "# scribefs\n"
        "\n"
        "Your chat and agent sessions, as files in an encrypted store. Work with the tools you "
        "have.\n"
        "\n"
        "    users/<user>/<workflow>/<session>/\n"
        "        session.json          title, state, counts and times: kept up to date, editable\n"
        "        messages/001.md …     one message a file\n"
        "        anything else         notes, attachments, whole trees\n"
        "\n"
        "Begin a session and write into it:\n"
        "\n"
        "    mkdir -p users/me/chat/first\n"
        "    echo 'How do I …?' > users/me/chat/first/messages/next.md\n"
        "\n"
        "`next.md` takes the next number, however many write at once. A header is optional:\n"
        "\n"
        "    ---\n"
        "    role: assistant           user, assistant, system or tool\n"
        "    timestamp: 2026-11-21T10:30:00Z\n"
        "    agent: coder\n"
        "    model: some-model\n"
        "    tokens: 120\n"
        "    ---\n"
        "    The text.\n"
        "\n"
        "- Read, search:  `cat`, `less`, `grep -r`, `tail -f messages/004.md`\n"
        "- Edit:          any editor; a message's bytes are what you wrote\n"
        "- Rename, move:  `mv` a session or a workflow; its id stays\n"
        "- Title, state:  edit session.json; what you leave alone stays up to date\n"
        "- Back up:       `rsync -aHAX users/ elsewhere/` or `tar --xattrs --acls -c users`\n"
        "- Restore:       copy such a tree back\n"
        "- Throw away:    `mv` a workflow to users/<user>/.trash/, or `rm -r`\n"
        "\n"
        "More: `scribefs help`, scribefs(1).\n";

struct views {
	struct sessions *sessions;
	struct timespec started;
};

int views_open(struct sessions *sessions, struct views **ret_views)
{
	struct views *v = calloc(1, sizeof *v);
	if (!v)
		return -ENOMEM;
	v->sessions = sessions;
	clock_gettime(CLOCK_REALTIME, &v->started);
	*ret_views = v;
	return 0;
}

void views_close(struct views *v)
{
	free(v);
}

int views_getattr(struct views *v, uint64_t ino, struct stat *ret_st)
{
	struct stat users, st = {.st_ino = ino};
	int r;

	if (ino != VIEWS_ROOT_INO && ino != README_INO)
		return -ENOENT;
	r = core_getattr(session_core(v->sessions), CORE_ROOT_INO, &users, NULL);
	if (r < 0)
		return r;
	st.st_uid = users.st_uid;
	st.st_gid = users.st_gid;
	st.st_atim = st.st_mtim = st.st_ctim = v->started;
	st.st_blksize = 4096;
	if (ino == VIEWS_ROOT_INO) {
		st.st_mode = S_IFDIR | 0555;
		st.st_nlink = 3;
	} else {
		st.st_mode = S_IFREG | 0444;
		st.st_nlink = 1;
		st.st_size = sizeof readme - 1;
		st.st_blocks = (blkcnt_t)((sizeof readme - 1 + 511) / 512);
	}
	*ret_st = st;
	return 0;
}

static int own_entry(struct views *v, uint64_t ino, struct core_entry *ret_entry)
{
	struct core_entry entry = {.ino = ino, .generation = 1};
	int r = views_getattr(v, ino, &entry.st);
	if (r == 0)
		*ret_entry = entry;
	return r;
}

static int users_entry(struct views *v, struct core_entry *ret_entry)
{
	/* core knows the directory by its number only: it stands in nothing of core's */
	return core_lookup(session_core(v->sessions), CORE_ROOT_INO, ".", ret_entry);
}

int views_lookup(struct views *v, uint64_t parent, const char *name, struct core_entry *ret_entry)
{
	if (parent != VIEWS_ROOT_INO)
		return -ENOTDIR;
	if (strcmp(name, "users") == 0)
		return users_entry(v, ret_entry);
	if (strcmp(name, "README.md") == 0)
		return own_entry(v, README_INO, ret_entry);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return own_entry(v, VIEWS_ROOT_INO, ret_entry);
	return -ENOENT;
}

static int list_one(
        struct views *v, struct core_dirent *e, bool with_attr, core_fill fill, void *arg)
{
	bool users = e->ino == CORE_ROOT_INO, dots = e->name[0] == '.';

	if (with_attr && !dots) {
		int r = users ? users_entry(v, &e->entry) : own_entry(v, e->ino, &e->entry);
		if (r < 0)
			return r;
		e->have_attr = true;
	}
	int r = fill(arg, e);
	if (r != 0 && users && e->have_attr)
		core_forget(session_core(v->sessions), e->ino, 1);
	return r;
}

int views_readdir(
        struct views *v, uint64_t ino, uint64_t cookie, bool with_attr, core_fill fill, void *arg)
{
	struct core_dirent entries[] = {
	        {.name = ".", .cookie = 1, .type = S_IFDIR, .ino = VIEWS_ROOT_INO},
	        {.name = "..", .cookie = 2, .type = S_IFDIR, .ino = VIEWS_ROOT_INO},
	        {.name = "README.md", .cookie = COOKIE_README, .type = S_IFREG, .ino = README_INO},
	        {.name = "users", .cookie = COOKIE_USERS, .type = S_IFDIR, .ino = CORE_ROOT_INO},
	};

	if (ino != VIEWS_ROOT_INO)
		return -ENOTDIR;
	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
		if (entries[i].cookie <= cookie)
			continue;
		int r = list_one(v, &entries[i], with_attr, fill, arg);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return 0;
}

int views_content(struct views *v, uint64_t ino, const char **ret_data, size_t *ret_len)
{
	if (ino != README_INO)
		return ino == VIEWS_ROOT_INO ? -EISDIR : -ENOENT;
	*ret_data = readme;
	*ret_len = sizeof readme - 1;
	return 0;
}
