/*
 * message_json.h: what the JSON documents say of a message. Members of an object without the braces.
 */
#ifndef SCRIBEFS_FS_VIEWS_RENDER_MESSAGE_JSON_H
#define SCRIBEFS_FS_VIEWS_RENDER_MESSAGE_JSON_H

#include "fs/views/render/render.h"

/*
 * "role", "content", "name" where the front matter's or else the agent's can be one, and a tool's "tool_call_id" where
 * the front matter has it: what programs for the OpenAI chat form read.
 */
void put_chat(const struct transcript *t, size_t i, struct sink *out);
/* ,"id", "number", "timestamp", "agent", "model", "tokens", "tokens_estimated". */
void put_facts_json(const struct transcript *t, size_t i, struct sink *out);
/* ,"links","code_blocks","size"; counts of what is no Markdown that can be parsed are null. */
void put_counts_json(const struct transcript *t, size_t i, struct sink *out);
/* ,"agent_history": the array. */
void put_switches(const struct transcript *t, struct sink *out);
/* "session_id":"…" */
void put_session_id(const struct transcript *t, struct sink *out);

#endif
