/*
 * problems.h: status/problems.json: what sessions hold that is not as documented. Internal to fs/views.
 */
#ifndef SCRIBEFS_FS_VIEWS_PROBLEMS_H
#define SCRIBEFS_FS_VIEWS_PROBLEMS_H

#include "fs/views/catalogue.h"
#include "fs/views/render/sink.h"

/*
 * {"problems":[{"path","session_id","file","reason"}],"total"}, the latest session first, of the sessions that @who
 * sees; as of @ret_contents of the catalogue. Of context.json, session.json and agent.
 */
int problems_render(struct sessions *s, struct catalogue *c, const struct viewer *who, struct sink *out,
	uint64_t *ret_contents);

#endif
