#include "tools/progress.h"

#include <stdio.h>
#include <unistd.h>

void progress_begin(struct progress *p, const char *label)
{
	*p = (struct progress){.label = label, .terminal = isatty(STDERR_FILENO), .percent = -1};
}

void progress_show(void *arg, uint64_t done, uint64_t total)
{
	struct progress *p = arg;
	int percent = total > 0 ? (int)(done < total ? done * 100 / total : 100) : 0;
	if (!p->terminal || percent == p->percent)
		return;
	p->percent = percent;
	fprintf(stderr, "\r%s: %d %%", p->label, percent);
}

void progress_end(struct progress *p)
{
	if (p->terminal && p->percent >= 0)
		fprintf(stderr, "\r\033[K");
	p->percent = -1;
}
