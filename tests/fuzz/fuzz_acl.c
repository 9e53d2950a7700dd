/*
 * fuzz_acl.c: any bytes as a POSIX ACL, decoded and set on files and directories. What is accepted survives a
 * round trip
 * and every chmod, says the mode that it was given, and what is made below it has no more rights than it allows.
 * The input as such, and as entries that are nearly in order: a byte each for tag and rights, two for the id.
 */
#include "fs/core/acl.h"
#include "fs/core/xattr.h"
#include "tests/fuzz/world.h"

#define ENTRIES 24

static struct world world;
static uint64_t dir, file, link_; /* in a session */

static void check_decoder(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct acl *acl = NULL, *again = NULL;
	_cleanup_buf_ struct buf value = {0};

	if (acl_decode(data, size, &acl) < 0 || !acl)
		return;
	expect(acl_encode(acl, &value) == 0 && value.len == size);
	expect(acl_decode(value.data, value.len, &again) == 0 && again->n == acl->n);
	expect(acl_mode(again, NULL) == acl_mode(acl, NULL));
	for (mode_t mode = 0; mode < 01000; mode += 0111) {
		acl_set_mode(acl, mode);
		expect(acl_mode(acl, NULL) == mode);
		expect(acl_restrict(again, mode) == acl_mode(again, NULL));
	}
}

static mode_t mode_of(uint64_t ino)
{
	struct stat st = {0};

	expect(core_getattr(world.core, ino, &st, NULL) == 0);
	return st.st_mode & 0777;
}

/* The mode that an ACL of @ino's says: its own, for it may have none. */
static mode_t acl_mode_of(uint64_t ino)
{
	_cleanup_buf_ struct buf value = {0};
	_cleanup_free_ struct acl *acl = NULL;

	if (core_getxattr(world.core, ino, XATTR_NAME_ACL_ACCESS, &value) == -ENODATA)
		return mode_of(ino);
	expect(acl_decode(value.data, value.len, &acl) == 0 && acl);
	return acl_mode(acl, NULL);
}

static int set(uint64_t ino, bool is_default, const uint8_t *data, size_t size)
{
	const char *name = is_default ? XATTR_NAME_ACL_DEFAULT : XATTR_NAME_ACL_ACCESS;

	return core_setxattr(world.core, &world_who, ino, name, data, size, 0);
}

static void check_chmod(uint64_t ino, mode_t mode)
{
	struct stat st = {.st_mode = mode};

	expect(core_setattr(world.core, &world_who, ino, &st, CORE_SET_MODE, &st) == 0);
	expect(mode_of(ino) == mode && acl_mode_of(ino) == mode);
}

/* What is made in dir, and taken away again. */
static void check_child(mode_t type, mode_t most)
{
	uint64_t child = world_make(&world, dir, "child", type | 0777, S_ISLNK(type) ? "target" : NULL);

	if (!S_ISLNK(type))
		expect((mode_of(child) & ~most) == 0 && acl_mode_of(child) == mode_of(child));
	if (S_ISDIR(type))
		expect(session_rmdir(world.sessions, &world_who, dir, "child") == 0);
	else
		expect(session_unlink(world.sessions, &world_who, dir, "child") == 0);
}

static void check_set(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct acl *acl = NULL;
	bool good = acl_decode(data, size, &acl) == 0, some = good && acl;

	expect(set(file, true, data, size) == (some ? -EACCES : size && !good ? set(dir, true, data, size) : 0));
	expect(set(link_, false, data, size) < 0);
	if (set(file, false, data, size) == 0) {
		expect(!some || mode_of(file) == acl_mode(acl, NULL));
		check_chmod(file, 0751);
		check_chmod(file, 0);
	}
	if (set(dir, true, data, size) == 0 && good) {
		mode_t most = some ? acl_mode(acl, NULL) : 0755;
		check_child(S_IFREG, most);
		check_child(S_IFDIR, most);
		check_child(S_IFLNK, most);
	}
}

static size_t compose(struct input in, uint8_t ret_bytes[4 + 8 * ENTRIES])
{
	static const uint8_t tags[] = {1, 2, 2, 4, 8, 8, 16, 32};
	uint8_t *p = put_bytes(ret_bytes, "\2\0\0\0", 4);

	for (size_t i = 0; in.left && i < ENTRIES; i++) {
		uint8_t byte = input_u8(&in), tag = tags[byte & 7];
		bool named = tag == 2 || tag == 8;
		p = put_bytes(p, (uint8_t[]){tag, 0, byte >> 4 & 7, byte >> 7}, 4);
		if (named)
			p = put_be32(p, input_u16(&in));
		else
			p = put_be32(p, UINT32_MAX);
	}
	return (size_t)(p - ret_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[4 + 8 * ENTRIES];

	if (!world.kv) {
		world_new(&world);
		uint64_t at = world_make(&world, CORE_ROOT_INO, "u", S_IFDIR | 0755, NULL);
		at = world_make(&world, at, "w", S_IFDIR | 0755, NULL);
		at = world_make(&world, at, "s", S_IFDIR | 0755, NULL);
		dir = world_make(&world, at, "d", S_IFDIR | 0755, NULL);
		file = world_make(&world, at, "f", S_IFREG | 0640, NULL);
		link_ = world_make(&world, at, "l", S_IFLNK | 0777, "target");
	}
	if (size > 4096)
		return 0;
	check_decoder(data, size);
	check_set(data, size);
	size = compose((struct input){data, size}, bytes);
	check_decoder(bytes, size);
	check_set(bytes, size);
	return 0;
}
