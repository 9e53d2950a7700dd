/*
 * content.h: the bytes of a file as the model has them: sparse pages, shared between copies until one of
 * them is written. Whatever was never written is zero. Not locked; running out of memory aborts.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_CONTENT_H
#define SCRIBEFS_TESTS_EXERCISE_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENT_PAGE 4096u

struct content_page {
	unsigned refs;
	uint8_t bytes[CONTENT_PAGE];
};

/* Zeroed is empty. */
struct content {
	uint64_t size;
	struct content_ref {
		uint64_t index;
		struct content_page *page;
	} *pages; /* sorted by index */
	size_t n, cap;
};

void content_release(struct content *c);
/* Replaces @ret_copy's value; what it held is not released. */
void content_copy(const struct content *c, struct content *ret_copy);
void content_write(struct content *c, uint64_t offset, const void *bytes, size_t len);
/* What is there, up to the end; returns the number of bytes. */
size_t content_read(const struct content *c, uint64_t offset, void *bytes, size_t len);
void content_resize(struct content *c, uint64_t size);
/* Zeros within the size. */
void content_zero(struct content *c, uint64_t offset, uint64_t len);
/* Whether [@offset, @end) is all zeros. */
bool content_is_zero(const struct content *c, uint64_t offset, uint64_t end);
/* The bytes that @seed stands for, as a writer of @len bytes writes them. */
void content_fill(uint8_t *bytes, size_t len, uint32_t seed);

#endif
