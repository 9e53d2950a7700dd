/*
 * documents.h: which documents there are in exports/, and their numbers. Internal to exports.
 *
 * In a snapshot: VIEWS_BIT | DOCUMENT_PAST | u22 slot << 39 | u32 container << 7 | u7 document; it has no pages.
 *
 * An inode number in exports/ is TREE_BASE(EXPORTS_TREE) | u32 container << 24 | u24 document: the
 * container of the session, workflow, user or of users/ that the folder mirrors (the root directory of a
 * container is its first inode, and it stays with it when it is renamed), and in it 0 for the folder itself,
 * 1 for its history/ or pages/, a number of the tables in documents.c, or DOCUMENT_PAGE and more for page
 * 0, 1, … Numbers are for ever.
 */
#ifndef SCRIBEFS_FS_VIEWS_DOCUMENTS_H
#define SCRIBEFS_FS_VIEWS_DOCUMENTS_H

#include "fs/views/render/render.h"
#include "fs/views/tree.h"

#define EXPORTS_TREE 1
#define DOCUMENT_FOLDER 0
#define DOCUMENT_PAGES 1 /* the folder of pages */
#define DOCUMENT_PAGE 0x800000u
#define DOCUMENT_NAME 32 /* bytes of the longest name */

struct document {
	uint32_t number;
	const char *name;
	/* which messages it is rendered from */
	enum { MESSAGES_ALL, MESSAGES_NONE, MESSAGES_REMEMBERED, MESSAGES_LAST } messages;
	bool context; /* from context.json too */
	bool files;   /* from all files */
	render_session session; /* of a session, or */
	render_listing listing; /* of a folder of sessions */
};

/* Those of a session's folder, or of one above; the last has no name. */
const struct document *documents(bool session);
const struct document *document_find(bool session, uint32_t number);
/* The folder of pages: its name. */
const char *document_pages(bool session);

/* The page of this name, UINT32_MAX: it is none's. And the other way round. */
uint32_t document_page(bool session, const char *name);
void document_page_name(bool session, uint32_t page, char ret_name[DOCUMENT_NAME]);
/* How many pages there are of @total messages or sessions. */
uint32_t document_pages_of(bool session, size_t total);

#define DOCUMENT_PAST (1ull << 61)
#define DOCUMENT_PAST_SLOT 39
#define DOCUMENT_PAST_DIR 7

static inline bool document_is_past(uint64_t ino)
{
	return ino & DOCUMENT_PAST;
}
static inline uint64_t document_ino(uint64_t dir, uint32_t number)
{
	if (!snapshot_is_present(dir))
		return VIEWS_BIT | DOCUMENT_PAST | (uint64_t)snapshot_slot(dir) << DOCUMENT_PAST_SLOT |
		       snapshot_present_ino(dir) >> 8 << DOCUMENT_PAST_DIR | number;
	return TREE_BASE(EXPORTS_TREE) | (dir >> 8) << 24 | number;
}
/* The mirrored directory. */
static inline uint64_t document_dir(uint64_t ino)
{
	if (document_is_past(ino))
		return (ino >> DOCUMENT_PAST_SLOT & SNAPSHOT_DIR_SLOT) << SNAPSHOT_SLOT_SHIFT |
		       (ino >> DOCUMENT_PAST_DIR & UINT32_MAX) << 8;
	return (ino >> 24 & UINT32_MAX) << 8;
}
static inline uint32_t document_number(uint64_t ino)
{
	return (uint32_t)ino & (document_is_past(ino) ? (1u << DOCUMENT_PAST_DIR) - 1 : 0xffffff);
}

#endif
