/* Titles as names, and who may do what. */
#include "fs/views/link_name.h"
#include "fs/views/rights.h"
#include "tests/suite.h"

#include <endian.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

static const struct {
	const char *title, *name;
} names[] = {
	{"Plain", "Plain"},
	{"", "untitled"},
	{"   \n\t ", "untitled"},
	{"a/b", "a-b"},
	{"/etc/passwd", "_etc-passwd"},
	{".", "_"},
	{"..", "_."},
	{"../../x", "_.-..-x"},
	{".hidden", "_hidden"},
	{"-rf", "_rf"},
	{"two\nlines\r\tand  more ", "two lines and more"},
	{"\x1b[31mred\x07\x7f", "\xe2\x90\x9b[31mred\xe2\x90\x87\xe2\x90\xa1"},
	{"a\xe2\x80\xaegnp.exe\xd8\x9c\xe2\x81\xa6", "agnp.exe"},
	{"\xff bad \xc3", "\xef\xbf\xbd bad \xef\xbf\xbd"},
	{"\xc2\x9b"
	 "csi",
		"\xef\xbf\xbd"
		"csi"},
	{"na\xc3\xafve \xe2\x9c\x93", "na\xc3\xafve \xe2\x9c\x93"},
};

START_TEST(a_title_becomes_a_name)
{
	char name[LINK_NAME_MAX + 1];
	ck_assert_int_eq(link_name_of(names[_i].title, name), 0);
	ck_assert_str_eq(name, names[_i].name);
}
END_TEST

START_TEST(a_long_title_is_cut_at_a_character)
{
	char title[3 * LINK_NAME_MAX + 1] = "", name[LINK_NAME_MAX + 1];
	for (unsigned i = 0; i < LINK_NAME_MAX; i++)
		strcat(title, "\xe2\x82\xac");
	ck_assert_int_eq(link_name_of(title, name), 0);
	ck_assert_uint_eq(strlen(name), LINK_NAME_MAX - LINK_NAME_MAX % 3);
	ck_assert_int_eq(memcmp(name, title, strlen(name)), 0);
	memset(title, 'x', sizeof title - 1);
	memset(title + LINK_NAME_MAX - 1, ' ', 10);
	ck_assert_int_eq(link_name_of(title, name), 0);
	ck_assert_uint_eq(strlen(name), LINK_NAME_MAX - 1); /* without the space at its end */
}
END_TEST

START_TEST(a_number_behind_a_name)
{
	ck_assert_uint_eq(link_name_number("Title ~12"), 12);
	ck_assert_uint_eq(link_name_number("a ~4294967295"), UINT32_MAX);
	static const char *const none[] = {"Title", "Title ~", "Title ~0", "Title ~012", "Title~12", " ~12", "~12",
		"a ~4294967296", "a ~99999999999999999999", "a ~1x", "a ~-1", "a ~ 1", "a ~+1"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		ck_assert_msg(link_name_number(none[i]) == 0, "%s", none[i]);
	ck_assert_uint_eq(link_name_number("a ~1 ~2"), 2);
}
END_TEST

/* ---- rights ------------------------------------------------------------------------------------ */

static bool in_seven(void *arg, gid_t gid)
{
	return gid == 7;
}

static bool grants(mode_t mode, uid_t uid, gid_t gid, unsigned want)
{
	struct rights r = {.uid = 1, .gid = 7, .mode = mode};
	struct viewer who = {.uid = uid, .gid = gid};
	return rights_grant(&r, &who, want);
}

START_TEST(owner_group_and_others)
{
	ck_assert(grants(0500, 1, 1, 5));
	ck_assert(!grants(0500, 2, 7, 5));
	ck_assert(!grants(0500, 2, 2, 5));
	ck_assert(grants(0050, 2, 7, 5));
	ck_assert(!grants(0050, 2, 2, 5));
	ck_assert(!grants(0055, 1, 7, 5)); /* the owner's count for the owner */
	ck_assert(!grants(0705, 2, 7, 5)); /* and the group's for the group */
	ck_assert(grants(0705, 2, 2, 5));
	ck_assert(!grants(0704, 2, 2, 5));
	ck_assert(grants(0, 0, 0, 7));
	struct rights r = {.uid = 1, .gid = 7, .mode = 0050};
	struct viewer member = {.uid = 2, .gid = 2, .in_group = in_seven};
	ck_assert(rights_grant(&r, &member, 5));
	r.mode = 0705;
	ck_assert(!rights_grant(&r, &member, 5));
}
END_TEST

static void add(struct buf *acl, uint16_t tag, uint16_t perm, uint32_t id)
{
	struct posix_acl_xattr_entry e = {htole16(tag), htole16(perm), htole32(id)};
	ck_assert_int_eq(buf_append(acl, &e, sizeof e), 0);
}

START_TEST(an_acl)
{
	struct rights r = {.uid = 1, .gid = 7, .mode = 0770};
	struct posix_acl_xattr_header head = {htole32(2)};
	struct viewer bob = {.uid = 2, .gid = 2}, carl = {.uid = 3, .gid = 3}, member = {.uid = 4, .gid = 7},
		      nine = {.uid = 5, .gid = 9}, owner = {.uid = 1, .gid = 1};
	ck_assert_int_eq(buf_append(&r.acl, &head, sizeof head), 0);
	add(&r.acl, 1, 7, UINT32_MAX);
	add(&r.acl, 2, 5, 2);
	add(&r.acl, 2, 0, 3);
	add(&r.acl, 4, 0, UINT32_MAX);
	add(&r.acl, 8, 7, 9);
	add(&r.acl, 16, 5, UINT32_MAX);
	add(&r.acl, 32, 5, UINT32_MAX);
	ck_assert(rights_grant(&r, &bob, 5));
	ck_assert(!rights_grant(&r, &bob, 7));
	ck_assert(!rights_grant(&r, &carl, 4));
	ck_assert(!rights_grant(&r, &member, 4)); /* others may, but not the group */
	ck_assert(rights_grant(&r, &nine, 5));
	ck_assert(!rights_grant(&r, &nine, 2)); /* the mask */
	ck_assert(rights_grant(&r, &owner, 7));
	r.acl.data[sizeof head + 5 * 8 + 2] = 4; /* the mask */
	ck_assert(!rights_grant(&r, &bob, 5));
	ck_assert(rights_grant(&r, &(struct viewer){.uid = 6, .gid = 6}, 5));
	rights_release(&r);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("names");
	tcase_add_loop_test(c, a_title_becomes_a_name, 0, sizeof names / sizeof *names);
	tcase_add_test(c, a_long_title_is_cut_at_a_character);
	tcase_add_test(c, a_number_behind_a_name);
	tcase_add_test(c, owner_group_and_others);
	tcase_add_test(c, an_acl);
	return run_case("names", c);
}
