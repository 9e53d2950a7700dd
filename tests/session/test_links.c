/* views/ and status/: what is in them, for whom, and that it is true at once after every change. */
#include "fs/session/putback.h"
#include "fs/session/session_internal.h"
#include "fs/views/links.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>
#include <sys/stat.h>

static struct views *views;
static struct viewer viewer = {.uid = 1000, .gid = 1000};
static char listed[4096];

static void setup(void)
{
	tree_setup();
	ck_assert_int_eq(views_open(sessions, &views), 0);
	viewer = (struct viewer){.uid = 1000, .gid = 1000};
}

static void teardown(void)
{
	views_close(views);
	tree_teardown();
}

/* The number of a path below views/, 0: there is none. */
static uint64_t find(const char *path)
{
	uint64_t at = tree_links.first;
	while (*path) {
		size_t len = strcspn(path, "/");
		char name[CORE_NAME_MAX + 1] = "";
		struct core_entry e;
		memcpy(name, path, len);
		int r = views_lookup(views, &viewer, at, name, &e);
		if (r == -ENOENT)
			return 0;
		ck_assert_int_eq(r, 0);
		ck_assert(e.fleeting_name && e.fleeting_attr);
		at = e.ino;
		path += len + (path[len] == '/');
	}
	return at;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

struct names {
	char at[200][CORE_NAME_MAX + 1];
	size_t n;
	int room;
	uint64_t cookie;
};

static int collect(void *arg, const struct core_dirent *e)
{
	struct names *names = arg;
	if (names->room-- == 0)
		return 1;
	ck_assert(!e->have_attr);
	names->cookie = e->cookie;
	if (e->name[0] != '.')
		strcpy(names->at[names->n++], e->name);
	return 0;
}

/* The names, sorted, each followed by a bar; in requests of @room entries. */
static const char *list_in(const char *path, int room)
{
	static struct names names;
	size_t before;
	int left;
	names.n = 0;
	names.cookie = 0;
	do {
		before = names.cookie;
		names.room = left = room;
		ck_assert_int_eq(views_readdir(views, &viewer, find(path), names.cookie, false, collect, &names), 0);
	} while (names.cookie != before);
	qsort(names.at, names.n, sizeof *names.at, by_name);
	listed[0] = '\0';
	for (size_t i = 0; i < names.n; i++)
		strcat(strcat(listed, names.at[i]), "|");
	return listed;
}

static const char *list(const char *path)
{
	return list_in(path, 1000);
}

static const char *target(const char *path)
{
	static struct buf text;
	text.len = 0;
	ck_assert_uint_ne(find(path), 0);
	ck_assert_int_eq(views_readlink(views, &viewer, find(path), &text), 0);
	struct stat st;
	ck_assert_int_eq(views_getattr(views, &viewer, find(path), &st, NULL), 0);
	ck_assert_uint_eq((size_t)st.st_size, text.len);
	ck_assert_uint_eq(st.st_mode, S_IFLNK | 0777);
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	return (const char *)text.data;
}

static void say(const char *session, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s/messages/next.md", session);
	tree_write(path, text);
}

static void chmod_of(const char *path, mode_t mode)
{
	struct stat st = {.st_mode = mode};
	ck_assert_int_eq(session_setattr(sessions, &who, tree_find(path), &st, CORE_SET_MODE, &st), 0);
}

START_TEST(the_views)
{
	say(SESSION, "First words");
	ck_assert_str_eq(list(""), "agent|day|id|interrupted|recent|state|workflow|");
	ck_assert_str_eq(list("recent"), "01 First words|");
	ck_assert_str_eq(target("recent/01 First words"), "../../users/u/w/s");
	ck_assert_str_eq(list("state"), "active|archived|idle|");
	ck_assert_str_eq(target("state/active/First words"), "../../../users/u/w/s");
	ck_assert_str_eq(list("state/archived"), "");
	ck_assert_str_eq(target("workflow/w/First words"), "../../../users/u/w/s");
	ck_assert_str_eq(list("agent"), "");
	ck_assert_str_eq(list("interrupted"), "");
	char path[UUID_LEN + 8] = "id/";
	strncat(path, list("id"), UUID_LEN);
	ck_assert_str_eq(target(path), "../../users/u/w/s");
}
END_TEST

START_TEST(what_is_not_there)
{
	struct core_entry e;
	struct buf text = {0};
	void *file;
	say(SESSION, "First words");
	static const char *const none[] = {"x", "recent/02 First words", "recent/1 First words",
		"recent/001 First words", "recent/01 First", "recent/First words", "state/lost", "state/deleted",
		"state/active/first words", "state/idle/First words", "state/active/First words ~1", "day/2026-1-1",
		"day/0000-00-00", "day/today", "workflow/v", "agent/x", "interrupted/First words", "id/x",
		"id/00000000-0000-4000-8000-000000000000"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		ck_assert_msg(find(none[i]) == 0, "%s", none[i]);
	uint64_t link = find("workflow/w/First words"), dir = find("workflow/w");
	ck_assert_int_eq(views_lookup(views, &viewer, link, "x", &e), -ENOTDIR);
	ck_assert_int_eq(views_readdir(views, &viewer, link, 0, false, collect, NULL), -ENOTDIR);
	ck_assert_int_eq(views_readlink(views, &viewer, dir, &text), -EINVAL);
	ck_assert_int_eq(views_file_open(views, dir, &file), -EISDIR);
	ck_assert_int_eq(views_mkdir(views, dir, "x", &e), -EPERM);
	struct link_place odd[] = {{LINKS_STATE, LINKS_GROUP, 77}, {LINKS_ID, LINKS_LINK, 77}};
	struct stat st;
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		ck_assert_int_eq(views_getattr(views, &viewer, link_ino(&odd[i]), &st, NULL), -ENOENT);
	ck_assert_int_eq(views_getattr(views, &viewer, tree_links.last, &st, NULL), -ENOENT);
}
END_TEST

START_TEST(it_follows_every_change)
{
	char day[64];
	say(SESSION, "First words");
	ck_assert_str_eq(list("recent"), "01 First words|");
	uint64_t ino = find("workflow/w/First words");
	tree_edit("\"First words\"", "\"Another / title\"", false);
	ck_assert_str_eq(list("workflow/w"), "Another - title|");
	ck_assert_uint_eq(find("workflow/w/Another - title"), ino);
	ck_assert_int_eq(tree_rename(SESSION, "u/w/renamed"), 0);
	ck_assert_str_eq(target("workflow/w/Another - title"), "../../../users/u/w/renamed");
	ck_assert_int_eq(tree_rename("u/w", "u/v"), 0);
	ck_assert_str_eq(list("workflow"), "v|");
	ck_assert_str_eq(target("recent/01 Another - title"), "../../users/u/v/renamed");
	ck_assert_int_eq(tree_rename("u", "ann"), 0);
	ck_assert_str_eq(target("recent/01 Another - title"), "../../users/ann/v/renamed");
	tree_write("ann/v/renamed/agent", "coder\n");
	ck_assert_str_eq(list("agent"), "coder|");
	ck_assert_str_eq(list("agent/coder"), "Another - title|");
	tree_write("ann/v/renamed/messages/next.md", "---\ntimestamp: 2031-05-06T07:08:09Z\n---\nlater\n");
	ck_assert_str_eq(list("day"), "2031-05-06|");
	struct stat st;
	snprintf(day, sizeof day, "day/2031-05-06/Another - title");
	ck_assert_int_eq(views_getattr(views, &viewer, find(day), &st, NULL), 0);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1935817689);
}
END_TEST

START_TEST(what_comes_and_goes)
{
	ck_assert_str_eq(list("workflow"), "w|");
	ck_assert_int_eq(tree_mkdir("u/w/two"), 0);
	ck_assert_int_eq(tree_mkdir("u/v"), 0);
	ck_assert_int_eq(tree_mkdir("u/v/three"), 0);
	say("u/w/two", "Two");
	say("u/v/three", "Three");
	say(SESSION, "One");
	ck_assert_str_eq(list("workflow/w"), "One|Two|");
	ck_assert_str_eq(list("workflow/v"), "Three|");
	ck_assert_int_eq(tree_mkdir("u/.trash"), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash/w"), 0);
	ck_assert_int_eq(tree_rename("u/w/two", "u/.trash/w/two"), 0);
	ck_assert_str_eq(list("workflow/w"), "One|");
	ck_assert_int_eq(tree_rename("u/v", "u/.trash/v"), 0);
	ck_assert_str_eq(list("workflow"), "w|");
	ck_assert_str_eq(list("id") + UUID_LEN, "|");
	ck_assert_int_eq(tree_rename("u/.trash/v", "u/back"), 0);
	ck_assert_int_eq(tree_rename("u/.trash/w/two", "u/back/two"), 0);
	ck_assert_str_eq(list("workflow/back"), "Three|Two|");
	ck_assert_int_eq(tree_mkdir("u/w/empty"), 0);
	ck_assert_ptr_nonnull(strstr(list("workflow/w"), "Chat "));
	ck_assert_int_eq(tree_rmdir("u/w/empty"), 0);
	ck_assert_str_eq(list("workflow/w"), "One|");
}
END_TEST

START_TEST(equal_titles)
{
	char name[256], other[64];
	ck_assert_int_eq(tree_mkdir("u/w/t"), 0);
	ck_assert_int_eq(tree_mkdir("u/v"), 0);
	ck_assert_int_eq(tree_mkdir("u/v/x"), 0);
	say(SESSION, "Same");
	say("u/w/t", "Same");
	snprintf(other, sizeof other, "Same ~%u", (unsigned)(tree_find("u/w/t") >> 8));
	say("u/v/x", other);
	snprintf(name, sizeof name, "Same|%s|", other);
	ck_assert_str_eq(list("workflow/w"), name);
	snprintf(name, sizeof name, "workflow/w/%s", other);
	ck_assert_str_eq(target(name), "../../../users/u/w/t");
	/* a title like a number of ours is not taken for it */
	snprintf(name, sizeof name, "Same|%s|%s ~%u|", other, other, (unsigned)(tree_find("u/v/x") >> 8));
	ck_assert_str_eq(list("state/active"), name);
	ck_assert_uint_eq(find("workflow/v") && find(name) == 0, 1);
	ck_assert_str_eq(target("state/active/Same"), "../../../users/u/w/s");
	ck_assert_int_eq(tree_mkdir("u/.trash"), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash/w"), 0);
	ck_assert_int_eq(tree_rename(SESSION, "u/.trash/w/s"), 0);
	ck_assert_str_eq(list("workflow/w"), "Same|");
	ck_assert_str_eq(target("state/active/Same"), "../../../users/u/w/t");
}
END_TEST

START_TEST(the_latest_hundred)
{
	char path[64], text[64];
	ck_assert_str_eq(list("workflow"), "w|");
	for (unsigned i = 0; i < 105; i++) {
		snprintf(path, sizeof path, "u/w/n%u", i);
		snprintf(text, sizeof text, "---\ntimestamp: 2031-01-01T00:%02u:%02uZ\n---\nNumber %u\n", i / 60,
			i % 60, i);
		ck_assert_int_eq(tree_mkdir(path), 0);
		say(path, text);
	}
	ck_assert_str_eq(target("recent/001 Number 104"), "../../users/u/w/n104");
	ck_assert_str_eq(target("recent/100 Number 5"), "../../users/u/w/n5");
	ck_assert_uint_eq(find("recent/101 Number 4"), 0);
	list_in("recent", 7);
	ck_assert_int_eq(strncmp(listed, "001 Number 104|002 Number 103|", 30), 0);
	size_t n = 0;
	for (const char *p = listed; *p; p++)
		n += *p == '|';
	ck_assert_uint_eq(n, 100);
	list_in("workflow/w", 1);
	ck_assert_str_ne(listed, "");
	char one[sizeof listed];
	strcpy(one, listed);
	ck_assert_str_eq(list("workflow/w"), one);
}
END_TEST

START_TEST(everybody_sees_what_he_could_find)
{
	say(SESSION, "Secret");
	ck_assert_str_eq(list("state/active"), "Secret|");
	uint64_t link = find("state/active/Secret"), group = find("workflow/w");
	viewer.uid = viewer.gid = 2000;
	struct buf text = {0};
	struct stat st;
	ck_assert_str_eq(list("state/active"), "");
	ck_assert_str_eq(list("workflow"), "");
	ck_assert_str_eq(list("recent"), "");
	ck_assert_str_eq(list("id"), "");
	ck_assert_uint_eq(find("state/active/Secret"), 0);
	ck_assert_int_eq(views_readlink(views, &viewer, link, &text), -ENOENT);
	ck_assert_int_eq(views_getattr(views, &viewer, link, &st, NULL), -ENOENT);
	ck_assert_int_eq(views_getattr(views, &viewer, group, &st, NULL), -ENOENT);
	const char *const chain[] = {"u", "u/w", SESSION, JSON};
	for (unsigned closed = 0; closed <= 4; closed++) {
		for (unsigned i = 0; i < 4; i++)
			chmod_of(chain[i], i == closed ? (i == 3 ? 0600 : 0700) : (i == 3 ? 0644 : 0755));
		ck_assert_str_eq(list("state/active"), closed == 4 ? "Secret|" : "");
	}
	chmod_of(SESSION, 0711); /* who may enter but not list it does not know its title */
	ck_assert_str_eq(list("state/active"), "");
	viewer = (struct viewer){0};
	ck_assert_str_eq(list("state/active"), "Secret|");
}
END_TEST

START_TEST(what_others_have_shows_in_no_name)
{
	ck_assert_int_eq(tree_mkdir("u/w/t"), 0);
	say(SESSION, "Same");
	say("u/w/t", "Same");
	chmod_of("u", 0755);
	chmod_of("u/w", 0755);
	chmod_of("u/w/t", 0755);
	chmod_of("u/w/t/session.json", 0644);
	viewer.uid = viewer.gid = 2000;
	ck_assert_str_eq(list("state/active"), "Same|");
	ck_assert_str_eq(target("state/active/Same"), "../../../users/u/w/t");
	ck_assert_str_eq(list("recent"), "01 Same|");
}
END_TEST

/* Names that come, go and change hands in one step, also while what goes is still being removed. */
START_TEST(a_user_is_put_back)
{
	struct snapshot_info info;
	char kept[CORE_NAME_MAX + 1];
	ck_assert_int_eq(tree_mkdir("u/w/gone"), 0);
	ck_assert_int_eq(tree_mkdir("u/w/moved"), 0);
	say(SESSION, "---\ntimestamp: 2031-01-01T00:00:01Z\n---\nFirst");
	say("u/w/gone", "---\ntimestamp: 2031-01-01T00:00:02Z\n---\nGone");
	say("u/w/moved", "---\ntimestamp: 2031-01-01T00:00:03Z\n---\nMoved");
	ck_assert_int_eq(session_snapshot_take(sessions, &who, tree_find("u"), "a", 0, &info), 0);
	ck_assert_str_eq(list("workflow/w"), "First|Gone|Moved|");
	ck_assert_int_eq(tree_mkdir("u/v"), 0);
	ck_assert_int_eq(tree_rename("u/w/moved", "u/v/elsewhere"), 0);
	ck_assert_int_eq(tree_unlink("u/w/gone/messages/001.md"), 0);
	ck_assert_int_eq(tree_rmdir("u/w/gone/messages"), 0);
	ck_assert_int_eq(tree_unlink("u/w/gone/session.json"), 0);
	ck_assert_int_eq(tree_rmdir("u/w/gone"), 0);
	ck_assert_int_eq(tree_rename("u/w", "u/x"), 0);
	ck_assert_int_eq(tree_mkdir("u/x/new"), 0);
	say("u/x/new", "New");
	ck_assert_str_eq(list("workflow"), "v|x|");
	ck_assert_str_eq(list("workflow/x"), "First|New|");
	ck_assert_int_eq(session_put_back(sessions, &who, tree_find("u"), info.root, 0, NULL, NULL, kept), 0);
	ck_assert_str_eq(list("workflow"), "w|");
	ck_assert_str_eq(list("workflow/w"), "First|Gone|Moved|");
	ck_assert_str_eq(target("workflow/w/Moved"), "../../../users/u/w/moved");
	ck_assert_int_eq(session_put_back_end(sessions), 0);
	ck_assert_str_eq(list("workflow"), "w|");
	ck_assert_str_eq(list("recent"), "01 Moved|02 Gone|03 First|");
	ck_assert_ptr_nonnull(strstr(list("state/active"), "Gone|"));
}
END_TEST

/* The text of a document of status/, whose size stat has told before. */
static const char *read_status(const char *name)
{
	static char text[8192];
	struct core_entry e;
	void *file;
	ck_assert_int_eq(views_lookup(views, &viewer, tree_status.first, name, &e), 0);
	ck_assert_uint_eq(e.st.st_mode, S_IFREG | 0400);
	ck_assert_int_eq(views_file_open(views, e.ino, &file), 0);
	ssize_t n = views_read(views, e.ino, file, text, sizeof text - 1, 0);
	ck_assert_int_eq(n, e.st.st_size);
	ck_assert_int_eq(views_read(views, e.ino, file, text + n, 1, n), 0);
	views_file_release(views, e.ino, file);
	text[n] = '\0';
	return text;
}

static void expect_status(const char *text)
{
	const char *stats = read_status("stats.json");
	ck_assert_msg(strstr(stats, text) != NULL, "%s is not in: %s", text, stats);
}

START_TEST(the_figures_follow)
{
	expect_status("\"session_count\":1,");
	expect_status("\"messages\":{\"total\":0,");
	say(SESSION, "One");
	expect_status("\"messages\":{\"total\":1,\"user\":1,");
	expect_status("\"message_length\":{\"total\":3,");
	say(SESSION, "---\nrole: tool\n---\nTwo two");
	expect_status("\"messages\":{\"total\":2,\"user\":1,\"assistant\":0,\"system\":0,\"tool\":1,");
	tree_write(MESSAGES "/001.md", "Longer than it was");
	expect_status("\"message_length\":{\"total\":25,");
	ck_assert_int_eq(tree_unlink(MESSAGES "/002.md"), 0);
	expect_status("\"message_length\":{\"total\":18,");
	ck_assert_int_eq(tree_mkdir("u/v"), 0);
	ck_assert_int_eq(tree_mkdir("u/v/t"), 0);
	expect_status("\"sessions_by_workflow\":{\"v\":1,\"w\":1}");
	ck_assert_ptr_nonnull(strstr(read_status("sessions.json"), "\"path\":\"u/v/t\""));
	ck_assert_int_eq(tree_rename("u/v", "u/x"), 0);
	ck_assert_ptr_nonnull(strstr(read_status("sessions.json"), "\"path\":\"u/x/t\""));
	struct core_entry e;
	viewer.uid = 2000;
	ck_assert_int_eq(views_lookup(views, &viewer, tree_status.first, "stats.json", &e), 0);
	ck_assert_int_eq(e.st.st_size, 0); /* and the kernel lets nobody else open it */
	ck_assert_int_eq(views_lookup(views, &viewer, tree_status.first, "x", &e), -ENOENT);
	ck_assert_int_eq(views_lookup(views, &viewer, tree_status.first + 1, "x", &e), -ENOTDIR);
}
END_TEST

START_TEST(numbers_outlive_the_daemon)
{
	say(SESSION, "First words");
	uint64_t workflow = find("workflow/w"), link = find("workflow/w/First words"), recent = find("recent");
	views_close(views);
	tree_reopen();
	ck_assert_int_eq(views_open(sessions, &views), 0);
	ck_assert_uint_eq(find("workflow/w"), workflow);
	ck_assert_uint_eq(find("workflow/w/First words"), link);
	ck_assert_uint_eq(find("recent"), recent);
}
END_TEST

START_TEST(all_is_news_and_then_one_again)
{
	say(SESSION, "First words");
	ck_assert_str_eq(list("recent"), "01 First words|");
	tree_edit("\"First words\"", "\"Second\"", false);
	news_all(sessions); /* a policy was set */
	ck_assert_str_eq(list("recent"), "01 Second|");
	tree_edit("\"Second\"", "\"Third\"", false);
	ck_assert_str_eq(list("recent"), "01 Third|");
}
END_TEST

START_TEST(more_news_than_are_kept)
{
	struct session_news news;
	ck_assert_str_eq(list("workflow"), "w|");
	for (unsigned i = 0; i < NEWS_MAX + 1; i++)
		news_named(sessions, CORE_ROOT_INO, "x", 1);
	ck_assert_int_eq(tree_rename(SESSION, "u/w/elsewhere"), 0);
	session_news_take(sessions, &news);
	ck_assert(news.all);
	ck_assert_uint_eq(news.n_names, 0);
	session_news_release(&news);
	news_all(sessions);
	char path[300] = "recent/";
	strcat(path, strtok((list("recent"), listed), "|"));
	ck_assert_str_eq(target(path), "../../users/u/w/elsewhere");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("links");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, the_views);
	tcase_add_test(c, what_is_not_there);
	tcase_add_test(c, it_follows_every_change);
	tcase_add_test(c, what_comes_and_goes);
	tcase_add_test(c, equal_titles);
	tcase_add_test(c, the_latest_hundred);
	tcase_add_test(c, everybody_sees_what_he_could_find);
	tcase_add_test(c, what_others_have_shows_in_no_name);
	tcase_add_test(c, the_figures_follow);
	tcase_add_test(c, a_user_is_put_back);
	tcase_add_test(c, numbers_outlive_the_daemon);
	tcase_add_test(c, all_is_news_and_then_one_again);
	tcase_add_test(c, more_news_than_are_kept);
	return run_case("links", c);
}
