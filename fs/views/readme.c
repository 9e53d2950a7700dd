/*
 * readme.c: README.md in the mount's root: how to use the mount, in one screen.
 */
#include "fs/views/tree.h"

#include <errno.h>
#include <string.h>

#define README_INO 2

static const char readme[] =
        "# scribefs\n"
        "\n"
        "Your chat and agent sessions, as files in an encrypted store. Work with the tools you "
        "have.\n"
        "\n"
        "    users/<user>/<workflow>/<session>/\n"
        "        session.json          title, state, counts and times: kept up to date, editable\n"
        "        messages/001.md …     one message a file\n"
        "        context.json          optional: what an agent saves of its work; scribefs(1) has its keys\n"
        "        anything else         notes, attachments, whole trees\n"
        "    views/                    links to them: recent/ state/ day/ workflow/ agent/ id/\n"
        "    status/                   stats.json, sessions.json: what there is on the whole\n"
        "    exports/                  the same, rendered: index.html, transcript.html .md .txt …\n"
        "\n"
        "Begin a session and write into it:\n"
        "\n"
        "    mkdir -p users/me/chat/first\n"
        "    echo 'How do I …?' > users/me/chat/first/messages/next.md\n"
        "\n"
        "`next.md` takes the next number, however many write at once. A header is optional:\n"
        "\n"
        "    ---\n"
        "    role: assistant           user, assistant, system or tool\n"
        "    timestamp: 2026-11-21T10:30:00Z\n"
        "    agent: coder\n"
        "    model: some-model\n"
        "    tokens: 120\n"
        "    ---\n"
        "    The text.\n"
        "\n"
        "- Find:          `ls views/recent`, `cd views/state/active/…`; each is a link to the session\n"
        "- Read, search:  `cat`, `less`, `grep -r`, `tail -f messages/004.md`\n"
        "- As a whole:    exports/…/transcript.txt: `--- 2, …` begins a message, `--- \\2` is said in one\n"
        "- Edit:          any editor; a message's bytes are what you wrote\n"
        "- Rename, move:  `mv` a session or a workflow; its id stays\n"
        "- Title, state:  edit session.json; what you leave alone stays up to date\n"
        "- Go on:         exports/…/resume.md, or `scribefs resume`: what the next agent needs\n"
        "- Look back:     `mkdir .snapshots/NAME` in any of these levels; `ls`, `cp -a`, `diff -r` from it\n"
        "- Back up:       `mkdir backups/NAME`; or `rsync -aHAX users/ elsewhere/` or `tar --xattrs --acls -c users`\n"
        "- Restore:       copy such a tree back\n"
        "- Throw away:    set its `state` to deleted: it goes to users/<user>/.trash/<workflow>/; `mv` brings it back\n"
        "\n"
        "More: `scribefs help`, scribefs(1).\n";

static int readme_getattr(void *state, const struct viewer *who, uint64_t ino, struct stat *ret_st, bool *ret_fleeting)
{
	ret_st->st_mode = S_IFREG | 0444;
	ret_st->st_nlink = 1;
	ret_st->st_size = sizeof readme - 1;
	ret_st->st_blocks = (blkcnt_t)((sizeof readme - 1 + 511) / 512);
	return 0;
}

static ssize_t readme_read(void *state, uint64_t ino, void *file, void *data, size_t size, off_t offset)
{
	size_t len = sizeof readme - 1, from = offset < 0 || (size_t)offset > len ? len : (size_t)offset;
	size_t n = size < len - from ? size : len - from;
	memcpy(data, readme + from, n);
	return (ssize_t)n;
}

const struct tree tree_readme = {
	.name = "README.md",
	.type = S_IFREG,
	.first = README_INO,
	.last = README_INO,
	.getattr = readme_getattr,
	.read = readme_read,
};
