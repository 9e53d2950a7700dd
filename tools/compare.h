/*
 * compare.h: what differs between two trees of a mount, each in a snapshot or the present.
 *
 * Where both are the same place, the daemon is asked which inodes may differ, and nothing else is looked at;
 * else everything is. Times alone are no difference.
 */
#ifndef SCRIBEFS_TOOLS_COMPARE_H
#define SCRIBEFS_TOOLS_COMPARE_H

#include "tools/past.h"

enum change_kind { CHANGE_ADDED = 'A', CHANGE_REMOVED = 'D', CHANGE_MODIFIED = 'M', CHANGE_RENAMED = 'R' };

struct change {
	enum change_kind kind;
	char *path; /* below the trees; "." is what was compared itself, and a directory ends in a slash */
	char *from; /* CHANGE_RENAMED: what it was */
};

struct changes {
	struct change *list; /* sorted by path */
	size_t n, cap;
};
void changes_release(struct changes *c);

/* @a was, @b is. With @any it ends at the first difference. -errno. */
int compare(const struct past *a, const struct past *b, bool any, struct changes *ret_changes);

#endif
