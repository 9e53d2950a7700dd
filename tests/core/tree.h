/*
 * tree.h: a whole tree as text, so that tests can say "as it was", and whether the records agree
 * with it.
 */
#ifndef SCRIBEFS_TESTS_CORE_TREE_H
#define SCRIBEFS_TESTS_CORE_TREE_H

#include "fs/core/key.h"
#include "tests/core/store.h"

/*
 * One line an entry, in the order of listings: path, kind, mode, inode, links, owner, times, size,
 * target, the bytes of a regular file (first and last, and a sum), names of xattrs. The text is
 * NUL-terminated.
 */
void tree_dump(struct store *s, struct buf *ret_text);
/*
 * The same from @ino on, present or past: without the times of the top, which a snapshot shows as its own, and
 * with the numbers that the inodes have in the present.
 */
void tree_dump_from(struct store *s, uint64_t ino, struct buf *ret_text);
/* That the tree is what tree_dump() gave before. */
void tree_expect(struct store *s, const struct buf *text);
/*
 * Every directory lists what its size and links say, every file has as many links as entries, and
 * there is no inode, entry, xattr, work row or byte of data that belongs to none of them. Nothing
 * may be open.
 */
void tree_check(struct store *s);
/* How many records of this kind there are. */
size_t tree_records(struct store *s, enum key_kind kind);

#endif
