/*
 * sha256.h: the SHA-256 of a file, as context.json has it of files that an agent works on. No key has to do with it.
 */
#ifndef SCRIBEFS_TOOLS_SHA_H
#define SCRIBEFS_TOOLS_SHA_H

#define SHA256_TEXT 65 /* bytes: 64 hexadecimal digits, NUL */

/* Of the rest of the open file. 0 or -errno. */
int sha256_file(int fd, char ret_text[SHA256_TEXT]);

#endif
