/*
 * render.h: the documents of a session and of a folder of sessions: pure functions from what is in it to
 * bytes. A document is added by one line in documents.c and a function here.
 *
 * RENDER_VERSION rises whenever the same input would give other bytes: sizes that are kept with a session
 * hold for one version only.
 */
#ifndef SCRIBEFS_FS_VIEWS_RENDER_RENDER_H
#define SCRIBEFS_FS_VIEWS_RENDER_RENDER_H

#include "fs/session/transcript.h"
#include "fs/views/render/sink.h"

#define RENDER_VERSION 6
#define RENDER_PAGE 50	      /* messages of a page of history/ */
#define RENDER_SESSIONS 20    /* sessions of one of pages/ */

typedef void (*render_session)(const struct transcript *t, struct sink *out);

/* text.c */
void render_txt(const struct transcript *t, struct sink *out);
void render_md(const struct transcript *t, struct sink *out);
/* html.c */
void render_html(const struct transcript *t, struct sink *out);
/* transcript_json.c */
void render_json(const struct transcript *t, struct sink *out);
/* json.c */
void render_jsonl(const struct transcript *t, struct sink *out);
void render_history(const struct transcript *t, struct sink *out);
void render_history_page(const struct transcript *t, struct sink *out);
void render_agent(const struct transcript *t, struct sink *out);
/* memory.c */
void render_memory(const struct transcript *t, struct sink *out);
void render_chat_store(const struct transcript *t, struct sink *out);

#define RESUME_MESSAGES 6	 /* the last ones, in resume.md */
#define RESUME_EMERGENCY 2000 /* code points */
/* resume.c, resume_emergency.c */
void render_resume(const struct transcript *t, struct sink *out);
void render_resume_full(const struct transcript *t, struct sink *out);
void render_resume_emergency(const struct transcript *t, struct sink *out);

/* A session among others. Strings are owned. */
struct listed_session {
	char id[UUID_LEN + 1];
	char *title, *agent, *path; /* path below users/ */
	const char *state;
	uint32_t messages;
	int64_t created, activity;
};
struct listing {
	struct listed_session *sessions; /* newest first */
	size_t n;
	const char *path; /* of the folder, "" exports/ itself */
	unsigned page;	  /* pages/: from 1 */
};
typedef void (*render_listing)(const struct listing *l, struct sink *out);

/* index_json.c, index_html.c */
void render_sessions(const struct listing *l, struct sink *out);
void render_sessions_page(const struct listing *l, struct sink *out);
void render_index(const struct listing *l, struct sink *out);

/* ---- content.c: what renderers share ----------------------------------------------------------- */

#define CONTENT_MAX (1u << 20) /* bytes of a message that are looked at as a whole */

/* Bytes of the message without its front matter. */
uint64_t content_size(const struct transcript_message *m);
/* All of it. -EFBIG beyond CONTENT_MAX, -EIO unreadable. @ret_content is replaced. */
int content_load(const struct transcript *t, size_t i, struct buf *ret_content);
/* Bytes of @text without the beginning of a character at its end that is not all there. */
size_t content_whole(const char *text, size_t len);
/*
 * Hands message @i's bytes from @offset on to @put in parts that end between characters. With @open_end an
 * unfinished character at the end is left out: the rest of it may come. False: unreadable from somewhere on.
 */
bool content_stream(const struct transcript *t, size_t i, uint64_t offset, bool open_end, struct sink *out,
	void (*put)(struct sink *out, const char *text, size_t len));

#endif
