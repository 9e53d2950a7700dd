/*
 * reader.h: an open document. It stays as it was when it was opened, so that whoever reads it gets one whole
 * version; once its end was met it is the newest one, so that tail -f follows. A document that is too
 * large to be held is rendered a window at a time. Any thread.
 */
#ifndef SCRIBEFS_FS_VIEWS_READER_H
#define SCRIBEFS_FS_VIEWS_READER_H

#include "fs/views/shelf.h"

struct reader;
int reader_open(struct shelves *shelves, uint64_t ino, struct reader **ret_reader);
ssize_t reader_read(struct reader *r, void *data, size_t size, uint64_t offset);
void reader_close(struct reader *r);

#endif
