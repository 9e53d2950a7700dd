/* What lists show of a session, read without rendering it: the same as a look at it gives. */
#include "fs/core/core_internal.h"
#include "fs/session/brief.h"
#include "fs/session/session_internal.h"
#include "fs/session/transcript.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#define HOUR INT64_C(3600000)

static const char *workflow_name = "w";
static struct session_brief cold, warm;
static uint64_t session;

static void setup(void)
{
	tree_setup();
	session = tree_find(SESSION);
	workflow_name = "w";
}

static void teardown(void)
{
	session_brief_release(&cold);
	session_brief_release(&warm);
	tree_teardown();
}

static struct session_where where(uint64_t workflow)
{
	return (struct session_where){.workflow = workflow, .user_name = "u", .workflow_name = workflow_name};
}

static int look(bool walking, struct session_brief *ret_brief)
{
	uint64_t users_workflow = tree_find(strcmp(workflow_name, "w") == 0 ? "u/w" : "u/v");
	const struct session_where at = where(users_workflow);
	struct session_walk *walk = NULL;

	session_brief_release(ret_brief);
	if (walking)
		ck_assert_int_eq(session_walk_open(sessions, &walk), 0);
	int r = session_brief(sessions, session, &at, walk, ret_brief);
	session_walk_close(walk);
	return r;
}

static void expect_same(const struct session_brief *a, const struct session_brief *b)
{
	ck_assert_str_eq(a->title, b->title);
	ck_assert_str_eq(a->agent ? a->agent : "-", b->agent ? b->agent : "-");
	ck_assert_str_eq(a->state, b->state);
	ck_assert_mem_eq(a->id, b->id, sizeof a->id);
	ck_assert_uint_eq(a->interrupted, b->interrupted);
	ck_assert_int_eq(a->created, b->created);
	ck_assert_int_eq(a->activity, b->activity);
	ck_assert_int_eq(a->changed, b->changed);
	ck_assert_int_eq(a->until, b->until);
	ck_assert_uint_eq(a->messages, b->messages);
	ck_assert_uint_eq(a->tokens, b->tokens);
	ck_assert_uint_eq(a->document_ino, b->document_ino);
	ck_assert_uint_eq(a->dir.st_mode, b->dir.st_mode);
	ck_assert_uint_eq(a->document.st_mode, b->document.st_mode);
	ck_assert_uint_eq(a->has_xattrs, b->has_xattrs);
}

/* A look renders; what it tells. */
static void expect_rendered(const struct session_brief *b)
{
	struct transcript_range none = {.brief = true};
	struct transcript *t;

	ck_assert_int_eq(transcript_open(sessions, session, &none, &t), 0);
	ck_assert_str_eq(b->title, t->title);
	ck_assert_str_eq(b->agent ? b->agent : "-", t->agent ? t->agent : "-");
	ck_assert_str_eq(b->state, t->state);
	ck_assert_mem_eq(b->id, t->session_id, sizeof b->id);
	ck_assert_uint_eq(b->interrupted, t->interrupted);
	ck_assert_int_eq(b->created, t->created);
	ck_assert_int_eq(b->activity, t->activity);
	ck_assert_int_eq(b->changed, t->changed);
	ck_assert_int_eq(b->until, t->until);
	ck_assert_uint_eq(b->messages, t->counted);
	ck_assert_uint_eq(b->tokens, t->tokens);
	transcript_free(t);
}

static bool is_warm(void)
{
	return container_is_warm(store.core, (uint32_t)(session >> 8));
}

/* In memory and not: both tell what a look tells, nothing is stored, and nothing comes to be in memory. */
static void expect_all_the_same(bool stays_cold)
{
	uint64_t sequence = kv_sequence(store.kv);

	ck_assert(!is_warm());
	ck_assert_int_eq(look(true, &cold), 0);
	ck_assert_int_eq(is_warm(), !stays_cold);
	ck_assert_int_eq(look(false, &warm), 0);
	ck_assert(is_warm());
	ck_assert_uint_eq(kv_sequence(store.kv), sequence);
	if (stays_cold)
		ck_assert_uint_eq(cold.stamp, 0);
	ck_assert_uint_ne(warm.stamp, 0);
	expect_same(&cold, &warm);
	/* Rendering gives session.json another inode: what was read before it is the old one's. */
	expect_rendered(&cold);
	ck_assert_int_eq(look(true, &warm), 0);
	warm.document_ino = cold.document_ino;
	expect_same(&cold, &warm);
}

START_TEST(nothing_in_it)
{
	tree_reopen();
	expect_all_the_same(true);
	ck_assert_uint_eq(cold.messages, 0);
	ck_assert_uint_ne(cold.document_ino, 0);
}
END_TEST

START_TEST(messages_that_nobody_looked_at)
{
	tree_next("Hello there\n");
	tree_next("---\nrole: assistant\ntimestamp: 2031-01-01T00:00:00Z\ntokens: 7\n---\nx\n");
	tree_write(SESSION "/agent", "coder\n");
	tree_reopen();
	expect_all_the_same(true);
	ck_assert_str_eq(cold.title, "Hello there");
	ck_assert_str_eq(cold.agent, "coder");
	ck_assert_uint_eq(cold.messages, 2);
	ck_assert_str_eq(cold.state, "active");
}
END_TEST

START_TEST(times_and_edits)
{
	tree_next("Hello\n");
	tree_reopen();
	atomic_fetch_add(&sessions->clock_shift, 2 * HOUR);
	expect_all_the_same(true);
	ck_assert_str_eq(cold.state, "idle");
	ck_assert_uint_eq(cold.interrupted, INTERRUPTED_AGENT);
	tree_edit("\"idle\"", "\"archived\"", false);
	tree_reopen();
	expect_all_the_same(true);
	ck_assert_str_eq(cold.state, "archived");
	ck_assert_uint_eq(cold.interrupted, 0);
}
END_TEST

START_TEST(without_its_document)
{
	ck_assert_int_eq(tree_unlink(JSON), 0);
	tree_reopen();
	expect_all_the_same(true);
	ck_assert_uint_eq(cold.document_ino, 0);
}
END_TEST

START_TEST(policies_of_its_own)
{
	ck_assert_int_eq(
		session_setxattr(sessions, &who, session, "user.scribefs.idle", "10min", strlen("10min"), 0), 0);
	tree_next("Hello\n");
	tree_reopen();
	atomic_fetch_add(&sessions->clock_shift, HOUR / 2);
	expect_all_the_same(false);
	ck_assert(cold.has_xattrs);
	ck_assert_str_eq(cold.state, "idle");
}
END_TEST

START_TEST(another_name_of_the_workflow)
{
	tree_next("Hello\n");
	ck_assert_ptr_nonnull(tree_read(JSON));
	ck_assert_int_eq(tree_rename("u/w", "u/v"), 0);
	workflow_name = "v";
	tree_reopen();
	/* It is a change as of the first look at it, which has to be stored. */
	uint64_t sequence = kv_sequence(store.kv);
	ck_assert_int_eq(look(true, &cold), 0);
	ck_assert_uint_gt(kv_sequence(store.kv), sequence);
	expect_rendered(&cold);
	tree_reopen();
	expect_all_the_same(true);
}
END_TEST

START_TEST(after_a_crash_and_all_was_taken_in)
{
	tree_next("Hello\n");
	tree_write(SESSION "/agent", "coder\n");
	tree_write(SESSION "/context.json", "{\"state\": {\"nextSteps\": [\"x\"]}}");
	ck_assert_ptr_nonnull(tree_read(JSON));
	tree_crash();
	ck_assert_int_eq(look(true, &cold), 0);
	ck_assert(!is_warm());
	uint64_t sequence = kv_sequence(store.kv);
	ck_assert_int_eq(look(false, &warm), 0);
	ck_assert_uint_eq(kv_sequence(store.kv), sequence);
	expect_same(&cold, &warm);
	ck_assert_str_eq(cold.title, "Hello");
}
END_TEST

/* Written and committed, and never closed: the messages have to be looked at. */
static void die_while_writing(const char *path, const char *text, int flags)
{
	struct core_entry e;
	struct file *file;
	const char *name;
	uint64_t dir = tree_parent(path, &name);

	int r = session_create(sessions, &who, dir, name, 0644, O_RDWR | flags, &e, &file);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(core_write(store.core, file, text, strlen(text), 0, 0), (ssize_t)strlen(text));
	ck_assert_int_eq(core_commit(store.core, e.ino), 0);
	tree_crash();
	free(file); /* nobody releases it any more */
}

START_TEST(after_a_crash_in_a_message)
{
	die_while_writing(MESSAGES "/next.md", "From the crash\n", 0);
	ck_assert_int_eq(look(true, &cold), 0);
	ck_assert_str_eq(cold.title, "From the crash");
	ck_assert_uint_eq(cold.messages, 1);
	expect_rendered(&cold);
}
END_TEST

START_TEST(after_a_crash_in_a_message_that_is_in_memory)
{
	die_while_writing(MESSAGES "/next.md", "From the crash\n", 0);
	struct core_entry e;
	ck_assert_int_eq(core_lookup(store.core, tree_find("u/w"), "s", &e), 0);
	ck_assert(is_warm());
	ck_assert_int_eq(look(false, &warm), 0);
	core_forget(store.core, e.ino, 1);
	ck_assert_str_eq(warm.title, "From the crash");
}
END_TEST

START_TEST(after_a_crash_in_a_save)
{
	tree_next("Hello\n");
	ck_assert_ptr_nonnull(tree_read(JSON));
	die_while_writing(JSON, "{\"title\": \"Mine\"}", O_TRUNC);
	ck_assert_int_eq(look(true, &cold), 0);
	expect_rendered(&cold);
	ck_assert_str_eq(cold.title, "Mine");
	ck_assert_str_eq(cold.title, "Mine");
}
END_TEST

START_TEST(what_is_no_session)
{
	ck_assert_int_eq(tree_mkdir("u/w/gone"), 0);
	session = tree_find("u/w/gone");
	tree_reopen();
	ck_assert_int_eq(look(true, &cold), 0);
	ck_assert_int_eq(tree_rmdir("u/w/gone"), 0);
	ck_assert_int_eq(look(true, &cold), -ENOENT);
	ck_assert_int_eq(look(false, &cold), -ENOENT);
	tree_reopen();
	ck_assert_int_eq(look(true, &cold), -ENOENT);
	session = tree_find("u/w");
	ck_assert_int_eq(look(false, &cold), -ENOENT);
}
END_TEST

/* Of the session that is not in memory. */
static int look_at_messages(struct transcript **ret_transcript)
{
	struct session_walk *walk;
	uint64_t workflow = tree_find("u/w");
	tree_reopen();
	ck_assert_int_eq(session_walk_open(sessions, &walk), 0);
	int r = session_brief_messages(sessions, session, workflow, walk, ret_transcript);
	session_walk_close(walk);
	return r;
}

START_TEST(messages_for_figures)
{
	struct transcript_range all = {.count = UINT32_MAX};
	struct transcript *brief, *whole;
	ck_assert_int_eq(look_at_messages(&brief), 0);
	ck_assert_uint_eq(brief->n, 0);
	transcript_free(brief);
	tree_next("Hello there\n");
	tree_next("---\nrole: assistant\ntimestamp: 2031-01-01T00:00:00Z\ntokens: 7\n---\nx\n");
	tree_next("---\nrole: tool\n---\nlonger than that\n");
	ck_assert_int_eq(tree_rename(MESSAGES "/001.md", MESSAGES "/090.md"), 0);
	tree_write(SESSION "/notes.md", "no message");
	tree_write(MESSAGES "/draft.md", "nor this");
	ck_assert_ptr_nonnull(tree_read(JSON)); /* counts them anew, where the title's message has gone */
	ck_assert_int_eq(look_at_messages(&brief), 0);
	ck_assert(!is_warm());
	ck_assert_int_eq(transcript_open(sessions, session, &all, &whole), 0);
	ck_assert_uint_eq(brief->n, 3);
	ck_assert_uint_eq(whole->n, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct transcript_message *a = &brief->messages[i], *b = &whole->messages[i];
		ck_assert_uint_eq(a->number, b->number);
		ck_assert_uint_eq(a->role, b->role);
		ck_assert_uint_eq(a->header, b->header);
		ck_assert_uint_eq(a->size, b->size);
		ck_assert_uint_eq(a->tokens, b->tokens);
		ck_assert_int_eq(a->time, b->time);
	}
	transcript_free(brief);
	transcript_free(whole);
}
END_TEST

START_TEST(messages_that_figures_cannot_tell)
{
	struct transcript *none;
	tree_next("one");
	ck_assert_int_eq(tree_link(MESSAGES "/001.md", MESSAGES "/002.md"), 0);
	ck_assert_int_eq(look_at_messages(&none), -EBUSY);
	ck_assert_int_eq(tree_unlink(MESSAGES "/002.md"), 0);
	ck_assert_ptr_nonnull(tree_read(JSON));
	ck_assert_int_eq(tree_mkdir(MESSAGES "/archive"), 0);
	ck_assert_int_eq(tree_rename(MESSAGES "/001.md", MESSAGES "/archive/001.md"), 0);
	tree_next("two");
	ck_assert_ptr_nonnull(tree_read(JSON));
	ck_assert_int_eq(look_at_messages(&none), -EBUSY);
}
END_TEST

START_TEST(messages_that_were_not_taken_in)
{
	struct transcript *none;
	tree_next("one");
	die_while_writing(MESSAGES "/next.md", "never closed", 0);
	ck_assert_int_eq(look_at_messages(&none), -EBUSY);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("brief");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, nothing_in_it);
	tcase_add_test(c, messages_that_nobody_looked_at);
	tcase_add_test(c, times_and_edits);
	tcase_add_test(c, without_its_document);
	tcase_add_test(c, policies_of_its_own);
	tcase_add_test(c, another_name_of_the_workflow);
	tcase_add_test(c, after_a_crash_and_all_was_taken_in);
	tcase_add_test(c, after_a_crash_in_a_message);
	tcase_add_test(c, after_a_crash_in_a_message_that_is_in_memory);
	tcase_add_test(c, after_a_crash_in_a_save);
	tcase_add_test(c, what_is_no_session);
	tcase_add_test(c, messages_for_figures);
	tcase_add_test(c, messages_that_figures_cannot_tell);
	tcase_add_test(c, messages_that_were_not_taken_in);
	return run_case("brief", c);
}
