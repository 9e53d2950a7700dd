#include "tests/exercise/step.h"

#include <stdlib.h>
#include <string.h>

#define REPEAT_51(x) x x x x x x x x x x x x x x x x x x x x x x x x x \
	x x x x x x x x x x x x x x x x x x x x x x x x x x

/* What scripts call it, and what it is. */
static const struct {
	const char *token, *name;
} names[] = {
	{"a", "a"}, {"b", "b"}, {"c", "c"}, {"d", "d"}, {"e", "e"}, {"f", "f"}, {"g", "g"}, {"h", "h"},
	{"i", "i"}, {"j", "j"}, {"k", "k"}, {"l", "l"},
	{"001.md", "001.md"}, {"017.md", "017.md"}, {"1000.md", "1000.md"}, {"0007.md", "0007.md"},
	{"next.md", "next.md"}, {"session.json", "session.json"}, {"messages", "messages"},
	{".dot", ".hidden"}, {"space", " a b "}, {"line", "line\nbreak"},
	{"utf8", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
	{"bytes", "\x01\xff\xfe%s\\"}, {"tilde", "a~"},
	{"max1", REPEAT_51("12345")}, {"max2", REPEAT_51("abcd\xff")},
	{"toolong", REPEAT_51("54321") "x"},
};

static const char *const verbs[] = {
#define V(verb) #verb,
	STEP_VERBS(V)
#undef V
};

const char *step_name(unsigned index)
{
	return index < step_names() ? names[index].name : NULL;
}

unsigned step_names(void)
{
	return sizeof names / sizeof names[0];
}

unsigned step_path_depth(const struct step_path *path)
{
	unsigned n = 0;
	while (n < STEP_DEPTH && path->name[n])
		n++;
	return n;
}

const char *step_verb_name(unsigned verb)
{
	return verb < STEP_VERB_COUNT ? verbs[verb] : "?";
}

static void print_path(FILE *out, const char *key, const struct step_path *path)
{
	if (!path->name[0])
		return;
	fprintf(out, " %s=", key);
	for (unsigned i = 0; i < step_path_depth(path); i++)
		fprintf(out, "/%s", names[path->name[i] - 1].token);
}

void step_print(FILE *out, const struct step *s)
{
	fputs(step_verb_name(s->verb), out);
	print_path(out, "path", &s->path);
	print_path(out, "to", &s->path2);
	if (s->slot)
		fprintf(out, " slot=%u", s->slot);
	if (s->slot2)
		fprintf(out, " slot2=%u", s->slot2);
	if (s->mode)
		fprintf(out, " mode=0%o", s->mode);
	if (s->flags)
		fprintf(out, " flags=0x%x", s->flags);
	if (s->offset)
		fprintf(out, " offset=%llu", (unsigned long long)s->offset);
	if (s->offset2)
		fprintf(out, " offset2=%llu", (unsigned long long)s->offset2);
	if (s->length)
		fprintf(out, " length=%llu", (unsigned long long)s->length);
	if (s->seed)
		fprintf(out, " seed=%u", s->seed);
	fputc('\n', out);
}

static bool read_path(char *text, struct step_path *path)
{
	unsigned n = 0;
	char *state = NULL;
	for (char *part = strtok_r(text, "/", &state); part; part = strtok_r(NULL, "/", &state)) {
		unsigned i = 0;
		while (i < step_names() && strcmp(names[i].token, part))
			i++;
		if (i == step_names() || n == STEP_DEPTH)
			return false;
		path->name[n++] = (uint8_t)(i + 1);
	}
	return true;
}

static bool read_field(struct step *s, const char *key, char *value)
{
	uint64_t number = strtoull(value, NULL, 0);
	if (!strcmp(key, "path"))
		return read_path(value, &s->path);
	if (!strcmp(key, "to"))
		return read_path(value, &s->path2);
	if (!strcmp(key, "slot"))
		s->slot = (uint8_t)(number % STEP_SLOTS);
	else if (!strcmp(key, "slot2"))
		s->slot2 = (uint8_t)(number % STEP_SLOTS);
	else if (!strcmp(key, "mode"))
		s->mode = (uint32_t)number;
	else if (!strcmp(key, "flags"))
		s->flags = (uint32_t)number;
	else if (!strcmp(key, "offset"))
		s->offset = number;
	else if (!strcmp(key, "offset2"))
		s->offset2 = number;
	else if (!strcmp(key, "length"))
		s->length = number;
	else if (!strcmp(key, "seed"))
		s->seed = (uint32_t)number;
	else
		return false;
	return true;
}

/* 1: a step, 0: an empty line, -1: neither. */
static int read_line(char *line, struct step *ret_step)
{
	char *state = NULL, *verb;
	*ret_step = (struct step){0};
	line[strcspn(line, "#\n")] = '\0';
	verb = strtok_r(line, " \t", &state);
	if (!verb)
		return 0;
	while (ret_step->verb < STEP_VERB_COUNT && strcmp(verbs[ret_step->verb], verb))
		ret_step->verb++;
	if (ret_step->verb == STEP_VERB_COUNT)
		return -1;
	for (char *field; (field = strtok_r(NULL, " \t", &state));) {
		char *value = strchr(field, '=');
		if (!value)
			return -1;
		*value++ = '\0';
		if (!read_field(ret_step, field, value))
			return -1;
	}
	return 1;
}

long step_read(FILE *in, struct step **ret_steps)
{
	struct step *steps = NULL, step;
	char line[1024];
	long n = 0, number = 0;
	while (fgets(line, sizeof line, in)) {
		int r = read_line(line, &step);
		number++;
		if (r < 0) {
			fprintf(stderr, "line %ld is no step\n", number);
			free(steps);
			return -1;
		}
		if (!r)
			continue;
		steps = realloc(steps, (size_t)(n + 1) * sizeof *steps);
		if (!steps)
			abort();
		steps[n++] = step;
	}
	*ret_steps = steps;
	return n;
}
