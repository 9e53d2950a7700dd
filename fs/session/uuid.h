/*
 * uuid.h: ids of sessions (random, version 4) and of messages (derived, version 8, RFC 9562).
 * Pure functions but for uuid_random(); any thread.
 */
#ifndef SCRIBEFS_FS_SESSION_UUID_H
#define SCRIBEFS_FS_SESSION_UUID_H

#include <stddef.h>
#include <stdint.h>

#define UUID_LEN 36

void uuid_random(uint8_t ret_id[16]);
/*
 * The id of message @number of session @session. Without any key, so that a copy of the session in
 * another store gives its messages the same ids.
 */
void uuid_of_message(const uint8_t session[16], uint32_t number, uint8_t ret_id[16]);
/* Lower case, NUL-terminated. */
void uuid_format(const uint8_t id[16], char ret_text[UUID_LEN + 1]);
/* 8-4-4-4-12 hexadecimal digits of either case; -EINVAL. */
int uuid_parse(const char *text, size_t len, uint8_t ret_id[16]);

#endif
