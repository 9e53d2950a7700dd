#include "fs/session/title.h"

#include "fs/session/uuid.h"

#include <stdio.h>
#include <string.h>

unsigned utf8_length(const char *p, size_t len)
{
	const unsigned char *s = (const unsigned char *)p;
	unsigned n = s[0] < 0x80   ? 1
	             : s[0] < 0xc2 ? 0
	             : s[0] < 0xe0 ? 2
	             : s[0] < 0xf0 ? 3
	             : s[0] < 0xf5 ? 4
	                           : 0;
	if (!n || n > len)
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

bool utf8_valid(const char *p, size_t len)
{
	for (size_t i = 0; i < len;) {
		unsigned n = utf8_length(p + i, len - i);
		if (!n)
			return false;
		i += n;
	}
	return true;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' || c == '\0';
}

void title_of_text(const char *text, size_t len, char ret_title[TITLE_AUTO_MAX + 1])
{
	const char *p = text, *end = text + len;
	while (p < end && (blank(*p) || *p == '\n'))
		p++;
	const char *line_end = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
	if (line_end)
		end = line_end;
	while (end > p && blank(end[-1]))
		end--;

	char *out = ret_title;
	for (unsigned points = 0; p < end; points++) {
		if (points == TITLE_POINTS) {
			memcpy(out, "...", 3);
			out += 3;
			break;
		}
		unsigned n = utf8_length(p, (size_t)(end - p));
		if (n == 0) {
			memcpy(out, "\xef\xbf\xbd", 3);
			out += 3;
			p++;
		} else if (n == 1 && ((unsigned char)*p < 0x20 || *p == 0x7f)) {
			*out++ = ' ';
			p++;
		} else {
			memcpy(out, p, n);
			out += n;
			p += n;
		}
	}
	*out = '\0';
}

void title_of_id(const uint8_t session[16], char ret_title[TITLE_AUTO_MAX + 1])
{
	char id[UUID_LEN + 1];
	uuid_format(session, id);
	snprintf(ret_title, TITLE_AUTO_MAX + 1, "Chat %.8s", id);
}
