/* fuzz_import.c: any bytes as a transcript.json that is imported. Nothing is made outside of its folder. */
#include "tests/fuzz/world.h"
#include "tools/transcript_import.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_DNR || (S_ISDIR(st->st_mode) && type == FTW_D))
		chmod(path, 0700);
	return type == FTW_D ? 0 : remove(path);
}

/* First that all can be entered, then from the leaves up. */
static void clear(const char *path)
{
	nftw(path, remove_one, 32, FTW_PHYS);
	nftw(path, remove_one, 32, FTW_PHYS | FTW_DEPTH);
	expect(access(path, F_OK) < 0);
}

static void expect_alone(void)
{
	DIR *dir = opendir(folder);
	unsigned n = 0;

	expect(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	expect(n == 3); /* ".", ".." and the session */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int top = -1;
	struct import_tree tree = {0};
	char where[PATH_MAX] = "", session[PATH_MAX + 8];

	if (top < 0) {
		log_setup(LOG_LEVEL_ERROR, true);
		make_folder(folder);
		top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		umask(022);
	}
	if (!size)
		return 0;
	expect(mkdirat(top, "s", 0700) == 0);
	snprintf(session, sizeof session, "%s/s", folder);
	tree.top = open(session, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct json_stream s = {.file = fmemopen((void *)(uintptr_t)data, size, "r")};
	expect(s.file && tree.top >= 0);
	int r = transcript_import(&s, &tree, where);
	expect(r <= 0 && s.at <= size + 1);
	fclose(s.file);
	import_tree_release(&tree);
	close(tree.top);
	expect_alone();
	clear(session);
	return 0;
}
