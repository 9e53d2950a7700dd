#include "tests/exercise/sessions.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define NODES_MANY 90
#define DEPTH_USUAL 4

/* splitmix64 */
static uint64_t draw_bits(struct draw *d)
{
	uint64_t x = d->state += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* The state is a drawn one itself, or neighbours would draw the same, one after the other. */
void draw_init(struct draw *draw, uint64_t seed)
{
	*draw = (struct draw){.state = seed * 0xd1342543de82ef95u};
	draw->state = draw_bits(draw) ^ seed << 32;
}

unsigned draw_below(struct draw *d, unsigned n)
{
	return (unsigned)((draw_bits(d) >> 32) * n >> 32);
}

static bool one_in(struct draw *d, unsigned n)
{
	return draw_below(d, n) == 0;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static unsigned draw_name(struct draw *d)
{
	/* Mostly one of twelve short ones, so that they meet. */
	return one_in(d, 6) ? draw_below(d, step_names()) : draw_below(d, 12);
}

static struct node *draw_node(struct draw *d, struct run *run, mode_t type)
{
	struct node *node = run->m->nodes, *found = run->m->root;
	unsigned at = draw_below(d, run->m->n_nodes), tries = 0;
	while (at--)
		node = node->next;
	for (; tries < run->m->n_nodes; tries++, node = node->next ? node->next : run->m->nodes)
		if (node->nlink && (!type || (node->mode & S_IFMT) == type))
			return node;
	return found;
}

static void draw_existing(struct draw *d, struct run *run, mode_t type, struct step_path *ret_path)
{
	if (!model_path(draw_node(d, run, type), ret_path))
		*ret_path = (struct step_path){0};
}

/* A name in some directory, most likely free. */
static void draw_new(struct draw *d, struct run *run, struct step_path *ret_path)
{
	unsigned depth;
	draw_existing(d, run, one_in(d, 40) ? 0 : S_IFDIR, ret_path);
	depth = step_path_depth(ret_path);
	if (depth >= DEPTH_USUAL)
		depth = draw_below(d, DEPTH_USUAL);
	ret_path->name[depth] = (uint8_t)(draw_name(d) + 1);
	for (depth++; depth <= STEP_DEPTH; depth++)
		ret_path->name[depth] = 0;
}

static void draw_path(struct draw *d, struct run *run, mode_t type, struct step_path *ret_path)
{
	if (one_in(d, 12))
		draw_new(d, run, ret_path);
	else
		draw_existing(d, run, one_in(d, 10) ? 0 : type, ret_path);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static uint64_t draw_length(struct draw *d)
{
	static const unsigned marks[] = {1, 511, 4095, 4096, 4097, 32767, 32768, 32769, 65536};
	switch (draw_below(d, 32)) {
	case 0:
		return one_in(d, 4) ? 1 + draw_below(d, RUN_IO) : 1 + draw_below(d, 300000);
	case 1:
	case 2:
	case 3:
		return 1 + draw_below(d, 70000);
	case 4:
	case 5:
	case 6:
		return marks[draw_below(d, sizeof marks / sizeof marks[0])];
	case 7:
		return 0;
	case 8:
	case 9:
	case 10:
		return 1 + draw_below(d, 5000);
	default:
		return 1 + draw_below(d, 200);
	}
}

/* Near the end, near a border of what stores files in pieces, or anywhere. */
static uint64_t draw_offset(struct draw *d, uint64_t size)
{
	static const uint64_t borders[] = {512, 4096, 32768, 65536, 131072, 1 << 20, 4 << 20, 8 << 20,
		512 << 20, 1ull << 36};
	unsigned some = draw_below(d, 40);
	uint64_t at = borders[draw_below(d, some ? 6 : 10)];
	switch (draw_below(d, 8)) {
	case 0:
	case 1:
		at = size;
		break;
	case 2:
		at = size > 100 ? size - draw_below(d, 100) : 0;
		break;
	case 3:
	case 4:
		break;
	case 5:
		return draw_below(d, 200);
	default:
		at = draw_below(d, size ? (unsigned)(size < 2000000 ? size + size / 8 : 2000000) : 5000);
	}
	return one_in(d, 3) && at > 3 ? at - 1 - draw_below(d, 3) : at + (one_in(d, 4) ? draw_below(d, 3) : 0);
}

static uint64_t size_of(struct run *run, unsigned slot)
{
	return run->m->slots[slot].node ? run->m->slots[slot].node->data.size : 0;
}

static void draw_open(struct draw *d, struct run *run, struct step *s)
{
	static const int modes[] = {O_RDWR, O_RDWR, O_RDWR, O_WRONLY, O_RDONLY};
	unsigned flags = (unsigned)modes[draw_below(d, 5)];
	bool create = run->m->n_nodes < NODES_MANY && one_in(d, 2);
	s->verb = VERB_open;
	if (create)
		draw_new(d, run, &s->path);
	else
		draw_path(d, run, S_IFREG, &s->path);
	if (create || one_in(d, 10))
		flags |= O_CREAT;
	flags |= (one_in(d, 6) ? O_EXCL * !!(flags & O_CREAT) : 0u);
	flags |= one_in(d, 12) ? O_TRUNC : 0u;
	flags |= one_in(d, 6) ? O_APPEND : 0u;
	flags |= one_in(d, 20) ? O_NOATIME : 0u;
	s->flags = flags;
	s->mode = one_in(d, 8) ? draw_below(d, 06777) : 0644;
}

static void draw_data(struct draw *d, struct run *run, struct step *s)
{
	static const uint8_t verbs[] = {VERB_write, VERB_write, VERB_write, VERB_pwrite, VERB_pwrite,
		VERB_pwrite, VERB_pread, VERB_pread, VERB_pread, VERB_pread, VERB_ftruncate,
		VERB_ftruncate, VERB_fallocate, VERB_fallocate, VERB_fallocate, VERB_seek, VERB_seek,
		VERB_copy, VERB_fsync, VERB_close, VERB_close, VERB_close, VERB_close};
	static const unsigned modes[] = {0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	s->slot = (uint8_t)draw_below(d, STEP_SLOTS);
	if (!run->m->slots[s->slot].node) {
		draw_open(d, run, s);
		return;
	}
	s->verb = verbs[draw_below(d, sizeof verbs)];
	s->offset = draw_offset(d, size_of(run, s->slot));
	s->length = draw_length(d);
	s->seed = draw_below(d, 1000000);
	s->flags = draw_below(d, 2);
	if (s->verb == VERB_fallocate)
		s->flags = modes[draw_below(d, 7)];
	if (s->verb == VERB_ftruncate)
		s->length = s->offset;
	if (s->verb == VERB_copy) {
		s->slot2 = (uint8_t)draw_below(d, STEP_SLOTS);
		s->offset2 = draw_offset(d, size_of(run, s->slot2));
	}
	/* Memory has an end: far offsets only where it costs nothing, and big files become small. */
	if (size_of(run, s->slot) > 3 << 20 && one_in(d, 4)) {
		s->verb = VERB_ftruncate;
		s->length = draw_below(d, 100000);
	}
}

/* ---- names ----------------------------------------------------------------------------------- */

static void draw_make(struct draw *d, struct run *run, struct step *s)
{
	static const unsigned types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
	draw_new(d, run, &s->path);
	s->seed = (uint32_t)makedev(1 + draw_below(d, 200), draw_below(d, 300));
	switch (draw_below(d, 8)) {
	case 0:
		s->verb = VERB_mknod;
		s->mode = types[draw_below(d, 5)] | draw_below(d, 01000);
		break;
	case 1:
		s->verb = VERB_symlink;
		s->length = one_in(d, 4) ? draw_below(d, 4095) : draw_below(d, 60);
		break;
	case 2:
	case 3:
		s->verb = VERB_link;
		s->path2 = s->path;
		draw_path(d, run, S_IFREG, &s->path);
		break;
	case 4:
	case 5:
		draw_open(d, run, s);
		s->slot = (uint8_t)draw_below(d, STEP_SLOTS);
		break;
	default:
		s->verb = VERB_mkdir;
		s->mode = one_in(d, 5) ? draw_below(d, 01000) : 0755;
	}
}

static void draw_remove(struct draw *d, struct run *run, struct step *s)
{
	s->verb = one_in(d, 4) ? VERB_rmdir : VERB_unlink;
	draw_path(d, run, one_in(d, 8) ? 0 : s->verb == VERB_rmdir ? S_IFDIR : S_IFREG, &s->path);
	if (s->verb == VERB_unlink && one_in(d, 4))
		draw_path(d, run, 0, &s->path);
}

static void draw_rename(struct draw *d, struct run *run, struct step *s)
{
	static const unsigned flags[] = {0, 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE,
		RENAME_NOREPLACE | RENAME_EXCHANGE, 8};
	s->verb = VERB_rename;
	s->flags = flags[draw_below(d, one_in(d, 10) ? 9 : 7)];
	draw_path(d, run, one_in(d, 3) ? S_IFDIR : one_in(d, 2) ? S_IFREG : 0, &s->path);
	if (one_in(d, 2))
		draw_new(d, run, &s->path2);
	else
		draw_path(d, run, one_in(d, 3) ? S_IFDIR : 0, &s->path2);
}

static void draw_attr(struct draw *d, struct run *run, struct step *s)
{
	static const uint8_t verbs[] = {VERB_chmod, VERB_chmod, VERB_chown, VERB_utimens, VERB_setxattr,
		VERB_setxattr, VERB_setxattr, VERB_getxattr, VERB_removexattr, VERB_removexattr,
		VERB_setacl, VERB_setacl, VERB_removeacl, VERB_umask};
	s->verb = verbs[draw_below(d, sizeof verbs)];
	draw_path(d, run, 0, &s->path);
	s->seed = (uint32_t)draw_bits(d);
	s->mode = s->verb == VERB_chmod ? draw_below(d, 010000) : draw_below(d, 8);
	s->flags = draw_below(d, 4);
	if (s->verb == VERB_umask) {
		s->path = (struct step_path){0};
		s->mode = one_in(d, 2) ? 022 : draw_below(d, 01000);
	}
	if (s->verb == VERB_utimens)
		s->flags = draw_below(d, 4) | draw_below(d, 4) << 4;
	if (s->verb == VERB_setxattr) {
		s->length = one_in(d, 20) ? draw_below(d, 66000) : draw_below(d, 300);
		s->flags = one_in(d, 2) ? 0 : one_in(d, 2) ? XATTR_CREATE : XATTR_REPLACE;
	}
}

static void draw_rest(struct draw *d, struct run *run, struct step *s)
{
	switch (draw_below(d, 8)) {
	case 0:
		s->verb = VERB_truncate;
		draw_path(d, run, S_IFREG, &s->path);
		s->length = draw_offset(d, 5000);
		break;
	case 1:
	case 2:
		if (run->t->maps) {
			struct node *node = draw_node(d, run, S_IFREG);
			s->verb = one_in(d, 3) ? VERB_mmap_private : VERB_mmap_write;
			model_path(node, &s->path);
			s->offset = draw_below(d, (unsigned)(node->data.size % 3000000) + 1);
			s->flags = one_in(d, 3) ? O_APPEND : 0;
			s->length = draw_length(d);
			s->seed = draw_below(d, 1000000);
			break;
		}
		__attribute__((fallthrough));
	default:
		s->verb = VERB_stat;
		draw_path(d, run, 0, &s->path);
	}
}

static void draw_past(struct draw *d, struct run *run, struct step *s)
{
	static const uint8_t verbs[] = {VERB_past, VERB_past, VERB_change_past, VERB_change_past, VERB_unsnap};
	struct run then = *run;
	s->flags = draw_below(d, STEP_PASTS);
	s->verb = run->pasts[s->flags] ? verbs[draw_below(d, sizeof verbs)] : VERB_snap;
	if (one_in(d, 20))
		s->verb = one_in(d, 2) ? VERB_snap : VERB_unsnap;
	if (s->verb == VERB_change_past) {
		then.m = run->pasts[s->flags];
		draw_existing(d, &then, one_in(d, 2) ? S_IFREG : 0, &s->path);
		s->seed = draw_below(d, 4);
	}
}

void draw_step(struct draw *d, struct run *run, struct step *ret_step)
{
	struct step *s = ret_step;
	unsigned kind = draw_below(d, 100);
	*s = (struct step){0};
	if (run->sessions) {
		sessions_draw(d, run, s);
		return;
	}
	if (d->restarts && one_in(d, d->restarts)) {
		s->verb = one_in(d, 2) ? VERB_kill : VERB_reopen;
	} else if (one_in(d, 2000)) {
		s->verb = VERB_check;
	} else if (one_in(d, 60)) {
		draw_past(d, run, s);
	} else if (run->m->n_nodes > NODES_MANY && one_in(d, 4)) {
		draw_remove(d, run, s);
	} else if (kind < 50) {
		draw_data(d, run, s);
	} else if (kind < 62) {
		draw_make(d, run, s);
	} else if (kind < 70) {
		draw_remove(d, run, s);
	} else if (kind < 80) {
		draw_rename(d, run, s);
	} else if (kind < 94) {
		draw_attr(d, run, s);
	} else {
		draw_rest(d, run, s);
	}
}
