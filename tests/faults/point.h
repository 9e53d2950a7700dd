/*
 * point.h: one fault: which call fails, how, and when. Its text form names it on the command line
 * and in reports: CALL:FILE:ERROR:FORM:NTH, as write:log:EIO:once:17.
 */
#ifndef SCRIBEFS_TESTS_FAULTS_POINT_H
#define SCRIBEFS_TESTS_FAULTS_POINT_H

#include "tests/faults/control.h"

#include <stdbool.h>
#include <stddef.h>

enum fault_form {
	FORM_ONCE,
	FORM_PARTIAL, /* once; half of the bytes are written */
	FORM_AFTER, /* once; all of the bytes are written */
	FORM_LASTING, /* until it is taken back */
	FORMS,
};

struct point {
	enum fault_call call;
	enum fault_file file; /* FAULT_FILES: any */
	int error;
	enum fault_form form;
	bool opening; /* counts from the opening of the store, not from the load */
	int64_t nth;
};

#define POINT_TEXT 64

void point_text(const struct point *p, char ret_text[POINT_TEXT]);
/* 0 or -EINVAL. */
int point_parse(const char *text, struct point *ret_point);
void point_set(const struct point *p, struct fault_control *control);
void point_take_back(struct fault_control *control);

#endif
