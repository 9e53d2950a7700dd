/*
 * test_acl.c: POSIX ACLs as bytes, as modes, and as files in a core see them.
 */
#include "fs/core/acl.h"
#include "fs/core/xattr.h"
#include "tests/core/store.h"
#include "tests/suite.h"

#include <check.h>

#define NO_ID UINT32_MAX
#define ACCESS XATTR_NAME_ACL_ACCESS
#define DEFAULT XATTR_NAME_ACL_DEFAULT

/* The kernel's form of @n entries. */
static size_t pack(const struct acl_entry *e, size_t n, uint8_t *ret_bytes)
{
	uint8_t *p = ret_bytes;
	*p++ = 2;
	*p++ = 0;
	*p++ = 0;
	*p++ = 0;
	for (size_t i = 0; i < n; i++) {
		*p++ = (uint8_t)e[i].tag;
		*p++ = (uint8_t)(e[i].tag >> 8);
		*p++ = (uint8_t)e[i].perm;
		*p++ = (uint8_t)(e[i].perm >> 8);
		for (int shift = 0; shift < 32; shift += 8)
			*p++ = (uint8_t)(e[i].id >> shift);
	}
	return (size_t)(p - ret_bytes);
}

static int decode(const struct acl_entry *e, size_t n)
{
	uint8_t bytes[256];
	struct acl *acl = NULL;
	int r = acl_decode(bytes, pack(e, n, bytes), &acl);
	ck_assert((acl != NULL) == (r == 0 && n > 0));
	free(acl);
	return r;
}
#define DECODE(...)                                                                                \
	decode((struct acl_entry[]){__VA_ARGS__},                                                  \
		sizeof((struct acl_entry[]){__VA_ARGS__}) / sizeof(struct acl_entry))

#define U(perm) {ACL_TAG_USER_OBJ, perm, NO_ID}
#define UN(perm, id) {ACL_TAG_USER, perm, id}
#define G(perm) {ACL_TAG_GROUP_OBJ, perm, NO_ID}
#define GN(perm, id) {ACL_TAG_GROUP, perm, id}
#define M(perm) {ACL_TAG_MASK, perm, NO_ID}
#define O(perm) {ACL_TAG_OTHER, perm, NO_ID}

START_TEST(what_is_valid)
{
	ck_assert_int_eq(DECODE(U(7), G(5), O(0)), 0);
	ck_assert_int_eq(DECODE(U(7), G(5), M(7), O(0)), 0);
	ck_assert_int_eq(DECODE(U(7), UN(6, 1), UN(6, 2), G(5), GN(1, 1), GN(1, 2), M(7), O(0)), 0);
	ck_assert_int_eq(decode(NULL, 0), 0);
}
END_TEST

START_TEST(what_is_not)
{
	ck_assert_int_eq(DECODE(U(7), G(5)), -EINVAL);
	ck_assert_int_eq(DECODE(U(7), O(5)), -EINVAL);
	ck_assert_int_eq(DECODE(G(7), O(5)), -EINVAL);
	ck_assert_int_eq(DECODE(U(8), G(5), O(0)), -EINVAL);
	ck_assert_int_eq(DECODE(U(7), U(7), G(5), O(0)), -EINVAL);
	ck_assert_int_eq(DECODE(U(7), G(5), M(1), M(1), O(0)), -EINVAL);
	ck_assert_int_eq(DECODE(G(5), U(7), O(0)), -EINVAL);
	ck_assert_int_eq(DECODE(U(7), UN(6, 1), G(5), O(0)), -EINVAL); /* no mask */
	ck_assert_int_eq(DECODE(U(7), G(5), GN(6, 1), O(0)), -EINVAL);
	ck_assert_int_eq(DECODE(U(7), UN(6, NO_ID), G(5), M(7), O(0)), -EINVAL);
	ck_assert_int_eq(DECODE({0, 0, 0}, U(7), G(5), O(0)), -EINVAL);
	ck_assert_int_eq(DECODE(U(7), G(5), O(0), {64, 0, 0}), -EINVAL);
	ck_assert_int_eq(DECODE(U(7), {3, 0, 0}, G(5), O(0)), -EINVAL);
}
END_TEST

START_TEST(no_list_at_all)
{
	uint8_t bytes[64] = {2};
	struct acl *acl = NULL;
	for (size_t len = 0; len < 12; len++)
		if (len != 4)
			ck_assert_int_eq(acl_decode(bytes, len, &acl), -EINVAL);
	bytes[0] = 3;
	ck_assert_int_eq(acl_decode(bytes, 4, &acl), -EOPNOTSUPP);
	ck_assert_ptr_null(acl);
}
END_TEST

static struct acl *make(const struct acl_entry *e, size_t n)
{
	uint8_t bytes[256];
	struct acl *acl = NULL;
	ck_assert_int_eq(acl_decode(bytes, pack(e, n, bytes), &acl), 0);
	return acl;
}

START_TEST(modes)
{
	const struct acl_entry plain[] = {U(7), G(5), O(4)}, masked[] = {U(7), G(5), M(3), O(4)};
	struct acl *acl = make(plain, 3);
	bool same = false;
	ck_assert_uint_eq(acl_mode(acl, &same), 0754);
	ck_assert(same);
	acl_set_mode(acl, 0123);
	ck_assert_uint_eq(acl_mode(acl, &same), 0123);
	ck_assert_uint_eq(acl->entries[1].perm, 2);
	free(acl);

	acl = make(masked, 4);
	ck_assert_uint_eq(acl_mode(acl, &same), 0734);
	ck_assert(!same);
	acl_set_mode(acl, 0777);
	ck_assert_uint_eq(acl->entries[1].perm, 5); /* the owning group's own right stays */
	ck_assert_uint_eq(acl->entries[2].perm, 7);
	ck_assert_uint_eq(acl_restrict(acl, 0640), 0640);
	ck_assert_uint_eq(acl_mode(acl, NULL), 0640);
	free(acl);
}
END_TEST

/* ---- in a core ------------------------------------------------------------------------------- */

static void set_acl(struct store *s, uint64_t ino, const char *name, const struct acl_entry *e,
	size_t n, int expected)
{
	uint8_t bytes[256];
	size_t len = pack(e, n, bytes);
	ck_assert_int_eq(core_setxattr(s->core, &s->who, ino, name, bytes, len, 0), expected);
}
#define SET_ACL(s, ino, name, expected, ...)                                                       \
	set_acl(s, ino, name, (struct acl_entry[]){__VA_ARGS__},                                   \
		sizeof((struct acl_entry[]){__VA_ARGS__}) / sizeof(struct acl_entry), expected)

static void expect_acl(struct store *s, uint64_t ino, const char *name, const struct acl_entry *e,
	size_t n)
{
	uint8_t bytes[256];
	_cleanup_buf_ struct buf value = {0};
	size_t len = pack(e, n, bytes);
	ck_assert_int_eq(core_getxattr(s->core, ino, name, &value), 0);
	ck_assert_uint_eq(value.len, len);
	ck_assert_mem_eq(value.data, bytes, len);
}
#define EXPECT_ACL(s, ino, name, ...)                                                              \
	expect_acl(s, ino, name, (struct acl_entry[]){__VA_ARGS__},                                \
		sizeof((struct acl_entry[]){__VA_ARGS__}) / sizeof(struct acl_entry))

static void expect_none(struct store *s, uint64_t ino, const char *name)
{
	_cleanup_buf_ struct buf value = {0};
	ck_assert_int_eq(core_getxattr(s->core, ino, name, &value), -ENODATA);
}

static mode_t mode_of(struct store *s, uint64_t ino)
{
	struct stat st;
	ck_assert_int_eq(core_getattr(s->core, ino, &st, NULL), 0);
	return st.st_mode & 07777;
}

START_TEST(access_and_mode)
{
	struct store s;
	store_new(&s, NULL);
	uint64_t f = store_make(&s, CORE_ROOT_INO, "f", S_IFREG | 0600);
	SET_ACL(&s, f, ACCESS, 0, U(6), UN(4, 1000), G(0), M(4), O(0));
	ck_assert_uint_eq(mode_of(&s, f), 0640);
	EXPECT_ACL(&s, f, ACCESS, U(6), UN(4, 1000), G(0), M(4), O(0));
	store_chmod(&s, f, 0756);
	EXPECT_ACL(&s, f, ACCESS, U(7), UN(4, 1000), G(0), M(5), O(6));
	store_reopen(&s);
	EXPECT_ACL(&s, f, ACCESS, U(7), UN(4, 1000), G(0), M(5), O(6));
	/* Without named entries and mask the mode says it all. */
	SET_ACL(&s, f, ACCESS, 0, U(6), G(4), O(1));
	ck_assert_uint_eq(mode_of(&s, f), 0641);
	expect_none(&s, f, ACCESS);
	store_chmod(&s, f, 04755);
	SET_ACL(&s, f, ACCESS, 0, U(7), G(7), M(1), O(0));
	ck_assert_uint_eq(mode_of(&s, f), 04710);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, ACCESS), 0);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, ACCESS), 0); /* as Linux */
	ck_assert_uint_eq(mode_of(&s, f), 04710);
	expect_none(&s, f, ACCESS);
	store_close(&s);
}
END_TEST

START_TEST(refused)
{
	struct store s;
	store_new(&s, NULL);
	uint64_t f = store_make(&s, CORE_ROOT_INO, "f", S_IFREG | 0600);
	uint64_t d = store_make(&s, CORE_ROOT_INO, "d", S_IFDIR | 0700);
	uint64_t l = store_symlink(&s, CORE_ROOT_INO, "l", "f");
	SET_ACL(&s, f, DEFAULT, -EACCES, U(6), G(4), O(1));
	SET_ACL(&s, l, ACCESS, -EOPNOTSUPP, U(6), G(4), O(1));
	SET_ACL(&s, f, ACCESS, -EINVAL, U(6), UN(1, 1), G(4), O(1));
	ck_assert_uint_eq(mode_of(&s, f), 0600);
	SET_ACL(&s, d, DEFAULT, 0, U(6), G(4), O(1));
	EXPECT_ACL(&s, d, DEFAULT, U(6), G(4), O(1));
	ck_assert_uint_eq(mode_of(&s, d), 0700);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, d, DEFAULT, "", 0, 0), 0);
	expect_none(&s, d, DEFAULT);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, DEFAULT), 0);
	store_close(&s);
}
END_TEST

START_TEST(inheritance)
{
	struct store s;
	store_new(&s, NULL);
	s.who.umask = 077;
	uint64_t d = store_make(&s, CORE_ROOT_INO, "d", S_IFDIR | 0777);
	ck_assert_uint_eq(mode_of(&s, d), 0700);
	SET_ACL(&s, d, DEFAULT, 0, U(7), UN(6, 7), G(5), M(7), O(1));
	/* The umask does not apply; what the caller did not ask for is taken away. */
	uint64_t f = store_make(&s, d, "f", S_IFREG | 0666);
	ck_assert_uint_eq(mode_of(&s, f), 0660);
	EXPECT_ACL(&s, f, ACCESS, U(6), UN(6, 7), G(5), M(6), O(0));
	expect_none(&s, f, DEFAULT);
	uint64_t sub = store_make(&s, d, "sub", S_IFDIR | 0777);
	ck_assert_uint_eq(mode_of(&s, sub), 0771);
	EXPECT_ACL(&s, sub, ACCESS, U(7), UN(6, 7), G(5), M(7), O(1));
	EXPECT_ACL(&s, sub, DEFAULT, U(7), UN(6, 7), G(5), M(7), O(1));
	uint64_t l = store_symlink(&s, d, "l", "f");
	ck_assert_uint_eq(mode_of(&s, l), 0777);
	expect_none(&s, l, ACCESS);
	/* A default that is no more than a mode leaves just that. */
	SET_ACL(&s, d, DEFAULT, 0, U(7), G(5), O(5));
	f = store_make(&s, d, "g", S_IFREG | 0666);
	ck_assert_uint_eq(mode_of(&s, f), 0644);
	expect_none(&s, f, ACCESS);
	store_reopen(&s);
	EXPECT_ACL(&s, sub, DEFAULT, U(7), UN(6, 7), G(5), M(7), O(1));
	store_close(&s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("acl");
	tcase_add_test(t, what_is_valid);
	tcase_add_test(t, what_is_not);
	tcase_add_test(t, no_list_at_all);
	tcase_add_test(t, modes);
	tcase_add_test(t, access_and_mode);
	tcase_add_test(t, refused);
	tcase_add_test(t, inheritance);
	return run_case("acl", t);
}
