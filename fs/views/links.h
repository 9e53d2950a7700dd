/*
 * links.h: which directories and links there are in views/, and their numbers and names. Internal to views/. All of it
 * is called with the catalogue locked.
 *
 * A number is TREE_BASE(LINKS_TREE) | kind << 50 | what << 48 | value of 48 bits: a view's own directory (value 0;
 * kind 0 is views/ itself), a directory in it (a state's index, a day since 1970 and DAY_ZERO, a name's hash), or a
 * link (the session's container). A session has the same number in a view whatever it is called there. Numbers are for
 * ever.
 */
#ifndef SCRIBEFS_FS_VIEWS_LINKS_H
#define SCRIBEFS_FS_VIEWS_LINKS_H

#include "fs/views/catalogue.h"
#include "fs/views/tree.h"

#define LINKS_TREE 3
#define LINKS_RECENT 100 /* sessions in recent/ */
#define LINKS_NAME 264	 /* bytes of any name, and a NUL */

enum link_kind { LINKS_ROOT, LINKS_LATEST, LINKS_STATE, LINKS_DAY, LINKS_WORKFLOW, LINKS_AGENT, LINKS_INTERRUPTED,
	LINKS_ID, LINK_KINDS };
enum link_what { LINKS_VIEW, LINKS_GROUP, LINKS_LINK };

struct link_place {
	enum link_kind kind;
	enum link_what what;
	uint64_t value;
};
uint64_t link_ino(const struct link_place *p);
/* False: no such number. */
bool link_place_of(uint64_t ino, struct link_place *ret_place);

/* The names of the views; those that hold directories of links, and not links. */
const char *link_view_name(enum link_kind kind);
bool link_view_grouped(enum link_kind kind);

/* Which directory of a grouped view the session is in; false: of none. */
bool link_group_of(enum link_kind kind, const struct catalogue_session *s, uint64_t *ret_value);
/* The directory's name, of one of its sessions. */
void link_group_name(enum link_kind kind, const struct catalogue_session *s, char ret_name[LINKS_NAME]);
/* -ENOENT: no directory can be called so. */
int link_group_find(struct catalogue *c, enum link_kind kind, const char *name, uint64_t *ret_value);
/* Those that are there without a session, by their values from 0 on; NULL: no more. */
const char *link_group_fixed(enum link_kind kind, uint64_t value);

/* Whether the session is in the view, or in the directory of it. */
bool link_holds(const struct link_place *p, const struct catalogue_session *s);
/* The latest that @who may see, the newest first. */
size_t link_latest(struct catalogue *c, const struct viewer *who, struct catalogue_session *ret_at[LINKS_RECENT]);
/*
 * The name of a session in the directory @p, in which @who may see it. Of those with equal titles all but the one with
 * the lowest number have theirs behind. @namer is zeroed at the beginning of a listing, and freed by nobody.
 */
struct link_namer {
	bool have_latest;
	struct catalogue_session *latest[LINKS_RECENT];
	size_t n;
	struct catalogue_session *first; /* who has the title that was asked for last */
};
void link_name(struct catalogue *c, const struct viewer *who, const struct link_place *p, struct link_namer *namer,
	const struct catalogue_session *s, char ret_name[LINKS_NAME]);
/* The other way round; NULL: there is none. */
struct catalogue_session *link_find(struct catalogue *c, const struct viewer *who, const struct link_place *p,
	const char *name);

#endif
