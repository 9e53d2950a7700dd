#include "fs/session/markdown.h"

#include "kv/cleanup.h"
#include "kv/kv.h"

#include <cmark-gfm-core-extensions.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Bounds on what makes the parser slow, for a text of MARKDOWN_MAX each below a tenth of a second. */
#define OPENERS_MAX 100	       /* "<?", "<!": each looks for its end */
#define BRACKETS_MAX 4096      /* [ */
#define ATS_MAX 2000	       /* @ */
#define CELLS_MAX 200000       /* most | in a line × lines */
#define DEPTH_MAX 100	       /* of nesting, which browsers take long to lay out */
#define REFERENCED_MAX (16u << 20) /* with definitions of references: [ × length */

struct markdown {
	cmark_parser *parser;
	cmark_node *root;
};
DEFINE_CLEANUP(struct markdown *, markdown_free);

static const char *const extensions[] = {"table", "strikethrough", "autolink", "tasklist"};

static bool is_slow(const char *text, size_t len)
{
	uint64_t openers = 0, brackets = 0, ats = 0, pipes = 0, widest = 0, lines = 1;
	bool references = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i], next = i + 1 < len ? text[i + 1] : '\0';
		openers += c == '<' && (next == '?' || next == '!');
		brackets += c == '[';
		references |= c == ']' && next == ':';
		ats += c == '@';
		if (c == '|' && ++pipes > widest)
			widest = pipes;
		if (c == '\n') {
			pipes = 0;
			lines++;
		}
	}
	return openers > OPENERS_MAX || brackets > BRACKETS_MAX || ats > ATS_MAX ||
	       widest * lines > CELLS_MAX || (references && brackets * len > REFERENCED_MAX);
}

static bool is_deep(cmark_node *root)
{
	unsigned depth = 0;

	for (cmark_node *node = root, *next; node; node = next) {
		next = cmark_node_first_child(node);
		if (next && ++depth > DEPTH_MAX)
			return true;
		while (node && !next) {
			next = cmark_node_next(node);
			if (!next) {
				node = cmark_node_parent(node);
				depth--;
			}
		}
	}
	return false;
}

int markdown_parse(const char *text, size_t len, struct markdown **ret_markdown)
{
	static pthread_once_t registered = PTHREAD_ONCE_INIT;
	_cleanup_(markdown_freep) struct markdown *m = NULL;

	if (len > MARKDOWN_MAX || is_slow(text, len))
		return -EFBIG;
	pthread_once(&registered, cmark_gfm_core_extensions_ensure_registered);
	m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	m->parser = cmark_parser_new(CMARK_OPT_VALIDATE_UTF8 | CMARK_OPT_TABLE_PREFER_STYLE_ATTRIBUTES);
	for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
		cmark_parser_attach_syntax_extension(
			m->parser, cmark_find_syntax_extension(extensions[i]));
	cmark_parser_feed(m->parser, text, len);
	m->root = cmark_parser_finish(m->parser);
	if (is_deep(m->root))
		return -EFBIG;
	*ret_markdown = steal_ptr(m);
	return 0;
}

void markdown_free(struct markdown *m)
{
	if (!m)
		return;
	if (m->root)
		cmark_node_free(m->root);
	cmark_parser_free(m->parser);
	free(m);
}

struct markdown_counts markdown_count(const struct markdown *m)
{
	struct markdown_counts counts = {0};
	cmark_iter *it = cmark_iter_new(m->root);
	cmark_event_type e;

	while ((e = cmark_iter_next(it)) != CMARK_EVENT_DONE) {
		cmark_node_type type = cmark_node_get_type(cmark_iter_get_node(it));
		if (e != CMARK_EVENT_ENTER)
			continue;
		counts.links += type == CMARK_NODE_LINK || type == CMARK_NODE_IMAGE;
		counts.code_blocks += type == CMARK_NODE_CODE_BLOCK;
	}
	cmark_iter_free(it);
	return counts;
}

static bool inside_link(cmark_node *node)
{
	while ((node = cmark_node_parent(node)))
		if (cmark_node_get_type(node) == CMARK_NODE_LINK)
			return true;
	return false;
}

/* The node's children take its place. */
static void unwrap(cmark_node *node)
{
	cmark_node *child;

	while ((child = cmark_node_first_child(node)))
		cmark_node_insert_before(node, child);
	cmark_node_free(node);
}

static void image_to_link(cmark_node *image)
{
	if (inside_link(image)) {
		unwrap(image);
		return;
	}
	cmark_node *link = cmark_node_new(CMARK_NODE_LINK), *child;
	cmark_node_set_url(link, cmark_node_get_url(image));
	cmark_node_set_title(link, cmark_node_get_title(image));
	cmark_node_insert_before(image, link);
	while ((child = cmark_node_first_child(image)))
		cmark_node_append_child(link, child);
	if (!cmark_node_first_child(link)) {
		cmark_node *text = cmark_node_new(CMARK_NODE_TEXT);
		cmark_node_set_literal(text, cmark_node_get_url(image));
		cmark_node_append_child(link, text);
	}
	cmark_node_free(image);
}

/* Raw HTML is what somebody wrote about: it is shown. */
static void html_to_text(cmark_node *html, cmark_node_type as)
{
	cmark_node *text = cmark_node_new(as);

	cmark_node_set_literal(text, cmark_node_get_literal(html));
	if (cmark_node_insert_before(html, text))
		cmark_node_free(html);
	else
		cmark_node_free(text); /* then the renderer leaves it out */
}

static void make_harmless(cmark_node *node)
{
	cmark_node_type type = cmark_node_get_type(node);

	if (type == CMARK_NODE_IMAGE)
		image_to_link(node);
	else if (type == CMARK_NODE_HTML_INLINE)
		html_to_text(node, CMARK_NODE_CODE);
	else if (type == CMARK_NODE_HTML_BLOCK)
		html_to_text(node, CMARK_NODE_CODE_BLOCK);
}

/* All of them are found before any is changed; an outer one before what is in it. */
static int make_tree_harmless(cmark_node *root)
{
	cmark_iter *it = cmark_iter_new(root);
	_cleanup_free_ cmark_node **found = NULL;
	size_t n = 0, room = 0;
	cmark_event_type e;

	while ((e = cmark_iter_next(it)) != CMARK_EVENT_DONE) {
		cmark_node *node = cmark_iter_get_node(it);
		cmark_node_type type = cmark_node_get_type(node);
		if (e != CMARK_EVENT_ENTER || (type != CMARK_NODE_IMAGE &&
			type != CMARK_NODE_HTML_INLINE && type != CMARK_NODE_HTML_BLOCK))
			continue;
		if (n == room) {
			room = room ? room * 2 : 64;
			cmark_node **grown = realloc(found, room * sizeof *grown);
			if (!grown) {
				cmark_iter_free(it);
				return -ENOMEM;
			}
			found = grown;
		}
		found[n++] = node;
	}
	cmark_iter_free(it);
	for (size_t i = 0; i < n; i++)
		make_harmless(found[i]);
	return 0;
}

int markdown_html(struct markdown *m, struct buf *out)
{
	int r = make_tree_harmless(m->root);

	if (r < 0)
		return r;
	char *html = cmark_render_html(m->root, CMARK_OPT_TABLE_PREFER_STYLE_ATTRIBUTES,
		cmark_parser_get_syntax_extensions(m->parser));
	r = buf_append(out, html, strlen(html));
	free(html);
	return r;
}

bool markdown_ends(const char *text, size_t len)
{
	static const char mark[] = "\n\n## scribefs\n";
	_cleanup_(markdown_freep) struct markdown *m = NULL;
	_cleanup_buf_ struct buf both = {0};

	if (buf_append(&both, text, len) < 0 || buf_append(&both, mark, sizeof mark - 1) < 0 ||
		markdown_parse((const char *)both.data, both.len, &m) < 0)
		return false;
	cmark_node *last = cmark_node_last_child(m->root);
	return last && cmark_node_get_type(last) == CMARK_NODE_HEADING &&
	       cmark_node_get_heading_level(last) == 2;
}
