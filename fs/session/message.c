#include "fs/session/message.h"

#include "fs/session/timestamp.h"

#define MESSAGE_FORMAT 1
#define MESSAGE_FIXED 45
#define TITLE_WINDOW 4096 /* bytes of text in which the first line is looked for */
#define BYTES_PER_TOKEN 4

static uint8_t *put_text(uint8_t *p, const char *text)
{
	size_t len = strlen(text);
	return put_bytes(put_u8(p, (uint8_t)len), text, len);
}

int message_encode(const struct message *m, struct blob **ret_facts)
{
	uint8_t record[MESSAGE_FIXED + 3 * (1 + FRONTMATTER_TEXT)], *p = record;

	p = put_u8(p, MESSAGE_FORMAT);
	p = put_u8(p, m->role);
	p = put_u8(p, m->flags);
	p = put_be16(p, m->names);
	p = put_be32(p, m->header);
	p = put_be64(p, (uint64_t)m->time);
	p = put_be64(p, m->tokens);
	p = put_be64(p, m->size);
	p = put_be64(p, (uint64_t)m->mtime.tv_sec);
	p = put_be32(p, (uint32_t)m->mtime.tv_nsec);
	p = put_text(put_text(put_text(p, m->id), m->agent), m->model);
	struct blob *facts = blob_new(record, (size_t)(p - record));
	if (!facts)
		return -ENOMEM;
	*ret_facts = facts;
	return 0;
}

static void read_text(struct bytes_reader *r, char text[FRONTMATTER_TEXT + 1])
{
	uint8_t len = read_u8(r);
	const uint8_t *p = read_bytes(r, len);
	if (p)
		memcpy(text, p, len);
	text[p ? len : 0] = '\0';
}

int message_decode(const struct blob *facts, struct message *ret_message)
{
	if (!facts)
		return -ENOENT;
	struct bytes_reader r = bytes_reader(facts->data, facts->len);
	struct message m = {0};

	if (read_u8(&r) != MESSAGE_FORMAT)
		return r.bad ? -EBADMSG : -EPROTONOSUPPORT;
	m.role = read_u8(&r);
	m.flags = read_u8(&r);
	m.names = read_be16(&r);
	m.header = read_be32(&r);
	m.time = (int64_t)read_be64(&r);
	m.tokens = read_be64(&r);
	m.size = read_be64(&r);
	m.mtime.tv_sec = (time_t)read_be64(&r);
	m.mtime.tv_nsec = read_be32(&r);
	read_text(&r, m.id);
	read_text(&r, m.agent);
	read_text(&r, m.model);
	if (bytes_reader_end(&r) < 0 || m.role > MESSAGE_TOOL || m.mtime.tv_nsec >= 1000000000)
		return -EBADMSG;
	*ret_message = m;
	return 0;
}

bool message_is_as_taken(const struct message *m, const struct irec *rec)
{
	return m->size == rec->size && m->mtime.tv_sec == rec->mtime.tv_sec && m->mtime.tv_nsec == rec->mtime.tv_nsec;
}

int64_t message_file_time(const struct irec *rec)
{
	int64_t birth = timestamp_ms(&rec->btime), mtime = timestamp_ms(&rec->mtime);
	return birth < mtime ? birth : mtime;
}

/* What a tool or an agent says that failed: the front matter says so, or the text begins as errors do. */
static bool reports_error(const struct frontmatter *header, const char *text, size_t len)
{
	static const char *const beginnings[] = {"Error", "ERROR", "error:", "Traceback", "Exception", "fatal:",
		"panic:"};

	if (header->role != MESSAGE_ASSISTANT && header->role != MESSAGE_TOOL)
		return false;
	for (; len && strchr(" \t\r\n", *text); text++)
		len--;
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
		size_t n = strlen(beginnings[i]);
		if (len >= n && memcmp(text, beginnings[i], n) == 0)
			return true;
	}
	return header->error;
}

int message_read(struct inode *inode, struct irec *rec, struct message *ret_message,
        char ret_title[TITLE_AUTO_MAX + 1])
{
	struct frontmatter header;
	_cleanup_buf_ struct buf head = {0};
	size_t want = FRONTMATTER_MAX + TITLE_WINDOW;
	ssize_t got;

	/* Small files need no second buffer: most of them lie in one record. */
	int r = buf_resize(&head, rec->size < want ? (size_t)rec->size : want);
	if (r < 0)
		return r;
	got = data_read(inode, head.data, head.len, 0);
	if (got < 0)
		return (int)got;
	const char *text = head.data ? (const char *)head.data : "";
	size_t len = (size_t)got;
	frontmatter_parse(text, len, &header);

	uint64_t content = rec->size - header.length;
	struct message m = {.role = (uint8_t)header.role,
	        .names = 1,
	        .header = (uint32_t)header.length,
	        .tokens = header.has_tokens ? header.tokens
	                                    : (content + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN};
	if (!header.has_tokens)
		m.flags |= MESSAGE_ESTIMATED;
	if (header.has_time) {
		m.flags |= MESSAGE_TIMED;
		m.time = timestamp_ms(&header.time);
		if (!(rec->flags & INODE_MTIME_SET))
			rec->mtime = header.time;
	} else {
		m.time = message_file_time(rec);
	}
	title_of_text(text + header.length, len - header.length, ret_title);
	if (ret_title[0])
		m.flags |= MESSAGE_TEXT;
	m.trouble = reports_error(&header, text + header.length, len - header.length);
	m.size = rec->size;
	m.mtime = rec->mtime;
	memcpy(m.id, header.id, sizeof m.id);
	memcpy(m.agent, header.agent, sizeof m.agent);
	memcpy(m.model, header.model, sizeof m.model);
	*ret_message = m;
	return 0;
}
