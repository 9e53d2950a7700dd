#include "fs/views/link_name.h"

#include "fs/session/title.h"
#include "fs/views/render/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE_LOOK (4 * LINK_NAME_MAX) /* bytes of a title that are looked at */

int link_name_of(const char *title, char ret_name[LINK_NAME_MAX + 1])
{
	struct sink sink = {.to = UINT64_MAX};
	char head[TITLE_LOOK + 1];
	size_t n = 0;

	snprintf(head, sizeof head, "%s", title);
	sink_line(&sink, head);
	for (size_t i = 0; i < sink.bytes.len && sink.error == 0;) {
		const char *p = (const char *)sink.bytes.data + i;
		unsigned len = utf8_length(p, sink.bytes.len - i);
		len = len ? len : 1;
		if (n + len > LINK_NAME_MAX)
			break;
		i += len;
		if (*p == ' ' && (n == 0 || ret_name[n - 1] == ' '))
			continue;
		memcpy(ret_name + n, p, len);
		if (*p == '/')
			ret_name[n] = '-';
		if (n == 0 && (*p == '.' || *p == '-' || *p == '/'))
			ret_name[n] = '_';
		n += len;
	}
	buf_release(&sink.bytes);
	while (n > 0 && ret_name[n - 1] == ' ')
		n--;
	ret_name[n] = '\0';
	if (n == 0)
		strcpy(ret_name, "untitled");
	return sink.error;
}

uint32_t link_name_number(const char *name)
{
	const char *mark = strrchr(name, '~');
	char canonical[16], *end;

	if (!mark || mark - name < 2 || mark[-1] != ' ' || mark[1] < '1' || mark[1] > '9')
		return 0;
	unsigned long number = strtoul(mark + 1, &end, 10);
	snprintf(canonical, sizeof canonical, "%lu", number);
	if (*end || number > UINT32_MAX || strcmp(canonical, mark + 1) != 0)
		return 0;
	return (uint32_t)number;
}
