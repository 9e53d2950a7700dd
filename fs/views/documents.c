#include "fs/views/documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct document of_session[] = {
	{2, "transcript.md", MESSAGES_ALL, .session = render_md},
	{3, "transcript.txt", MESSAGES_ALL, .session = render_txt},
	{4, "transcript.html", MESSAGES_ALL, .session = render_html},
	{5, "transcript.json", MESSAGES_ALL, .files = true, .session = render_json},
	{6, "messages.jsonl", MESSAGES_ALL, .session = render_jsonl},
	{7, "history.json", MESSAGES_ALL, .session = render_history},
	{8, "agent.json", MESSAGES_NONE, .session = render_agent},
	{9, "memory.json", MESSAGES_REMEMBERED, .session = render_memory},
	{10, "chat_store.json", MESSAGES_REMEMBERED, .session = render_chat_store},
	{11, "resume.md", MESSAGES_LAST, .context = true, .session = render_resume},
	{12, "resume-full.md", MESSAGES_ALL, .context = true, .session = render_resume_full},
	{13, "resume-emergency.md", MESSAGES_LAST, .context = true, .session = render_resume_emergency},
	{0},
};

static const struct document of_folder[] = {
	{2, "sessions.json", .listing = render_sessions},
	{3, "index.html", .listing = render_index},
	{0},
};

static const struct document history_page = {
	.number = DOCUMENT_PAGE, .messages = MESSAGES_ALL, .session = render_history_page};
static const struct document sessions_page = {
	.number = DOCUMENT_PAGE, .listing = render_sessions_page};

const struct document *documents(bool session)
{
	return session ? of_session : of_folder;
}

const struct document *document_find(bool session, uint32_t number)
{
	if (number >= DOCUMENT_PAGE)
		return session ? &history_page : &sessions_page;
	for (const struct document *d = documents(session); d->name; d++)
		if (d->number == number)
			return d;
	return NULL;
}

const char *document_pages(bool session)
{
	return session ? "history" : "pages";
}

void document_page_name(bool session, uint32_t page, char ret_name[DOCUMENT_NAME])
{
	if (session)
		snprintf(ret_name, DOCUMENT_NAME, "%05u-%05u.json", page * RENDER_PAGE,
			page * RENDER_PAGE + RENDER_PAGE - 1);
	else
		snprintf(ret_name, DOCUMENT_NAME, "%03u.json", page + 1);
}

uint32_t document_page(bool session, const char *name)
{
	char canonical[DOCUMENT_NAME];
	unsigned long first = strtoul(name, NULL, 10);

	if (first > 1000000000ul || (!session && first == 0))
		return UINT32_MAX;
	uint32_t page = (uint32_t)(session ? first / RENDER_PAGE : first - 1);
	document_page_name(session, page, canonical);
	return page < DOCUMENT_PAGE && strcmp(name, canonical) == 0 ? page : UINT32_MAX;
}

uint32_t document_pages_of(bool session, size_t total)
{
	size_t each = session ? RENDER_PAGE : RENDER_SESSIONS;
	size_t pages = (total + each - 1) / each;

	if (pages == 0 && !session)
		return 1; /* that says that there is nothing */
	return pages < DOCUMENT_PAGE ? (uint32_t)pages : DOCUMENT_PAGE - 1;
}
