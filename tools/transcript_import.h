/*
 * transcript_import.h: reads a transcript.json into a session's directory.
 *
 *   {"format": "scribefs transcript 2",
 *    "session": {…},                         session.json
 *    "messages": [{"file": "messages/001.md", "mode": "0600", "uid": 0, "gid": 0,
 *                  "mtime": "SECONDS.NANOSECONDS",
 *                  "header": "…", "content": "…", "base64": "…"} …],
 *    "files": [{"path": "…", "type": "file", "mode", "uid", "gid", "mtime", "size", "text" or "base64",
 *               "xattrs": {"user.x": "BASE64"}, "target", "same_as", "major", "minor"} …]}
 *
 * The file of a message is its header (front matter, if it has any) and its content, or base64 where that is there. In
 * an element `file`, `path`, `type` and `header` stand before what the file holds; other members may come in any order,
 * unknown ones are passed over. path, target and same_as are called path_base64 and so on where they are no UTF-8. A
 * directory comes before what it holds, "." is the session's; type is directory, symlink, fifo, socket, character
 * device or block device; same_as is another name of the same file. session.json has no content there. Root alone gives
 * files to uid and gid.
 */
#ifndef SCRIBEFS_TOOLS_TRANSCRIPT_IMPORT_H
#define SCRIBEFS_TOOLS_TRANSCRIPT_IMPORT_H

#include "tools/import_tree.h"
#include "tools/json_stream.h"

/*
 * Makes all of it in t->top. -EBADMSG: it is no such document from byte s->at on, or @ret_where says in which file.
 * Other -errno: of what is made, likewise.
 */
int transcript_import(struct json_stream *s, struct import_tree *t, char ret_where[PATH_MAX]);

#endif
