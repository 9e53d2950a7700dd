#include "tests/faults/point.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const calls[FAULT_CALLS] = {
	"open", "write", "sync", "range", "allocate", "truncate", "rename", "unlink"};
static const char *const files[FAULT_FILES + 1] = {
	"log", "table", "manifest", "engine", "mark", "keyring", "reserve", "store", "all"};
static const char *const forms[FORMS] = {"once", "partial", "after", "lasting"};

void point_text(const struct point *p, char ret_text[POINT_TEXT])
{
	snprintf(ret_text, POINT_TEXT, "%s:%s:%s:%s:%s%lld", calls[p->call], files[p->file],
		p->error == ENOSPC ? "ENOSPC" : "EIO", forms[p->form], p->opening ? "open" : "",
		(long long)p->nth);
}

/* The index of the word at *@text, which goes past it and the colon; -1. */
static int take(const char **text, const char *const *words, int n)
{
	size_t len = strcspn(*text, ":");

	for (int i = 0; i < n; i++) {
		if (strlen(words[i]) != len || strncmp(words[i], *text, len) != 0)
			continue;
		*text += len + ((*text)[len] == ':');
		return i;
	}
	return -1;
}

int point_parse(const char *text, struct point *ret_point)
{
	static const char *const errors[] = {"ENOSPC", "EIO"};
	int call = take(&text, calls, FAULT_CALLS);
	int file = call < 0 ? -1 : take(&text, files, FAULT_FILES + 1);
	int error = file < 0 ? -1 : take(&text, errors, 2);
	int form = error < 0 ? -1 : take(&text, forms, FORMS);
	bool opening = form >= 0 && strncmp(text, "open", 4) == 0;
	long long nth;

	if (form < 0 || sscanf(text + (opening ? 4 : 0), "%lld", &nth) != 1)
		return -EINVAL;
	*ret_point = (struct point){.call = call,
		.file = file,
		.error = error ? EIO : ENOSPC,
		.form = form,
		.opening = opening,
		.nth = nth};
	return 0;
}

void point_set(const struct point *p, struct fault_control *control)
{
	control->calls = 1u << p->call;
	control->files = p->file == FAULT_FILES ? ~0u : 1u << p->file;
	control->error = p->error;
	control->lasting = p->form == FORM_LASTING;
	control->partial = p->form == FORM_PARTIAL;
	control->after = p->form == FORM_AFTER;
	control->fired = 0;
	__atomic_store_n(&control->nth, p->nth, __ATOMIC_RELEASE);
}

void point_take_back(struct fault_control *control)
{
	__atomic_store_n(&control->nth, 0, __ATOMIC_RELEASE);
}
