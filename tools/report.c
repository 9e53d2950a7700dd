#include "tools/report.h"

#include "fs/session/title.h"
#include "kv/log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct report {
	cJSON *root;
	cJSON *rows; /* where rows go: the root or an item of a list */
	bool failed;
};

void report_free(struct report *report)
{
	if (!report)
		return;
	cJSON_Delete(report->root);
	free(report);
}

struct report *report_new(void)
{
	_cleanup_(report_freep) struct report *report = calloc(1, sizeof *report);
	if (!report || !(report->root = cJSON_CreateObject()))
		return NULL;
	report->rows = report->root;
	return steal_ptr(report);
}

/* cJSON's adders take NULL for a parent that could not be made, and return NULL then. */
static void check(struct report *report, const cJSON *made)
{
	report->failed |= !made;
}

void report_text(struct report *report, const char *key, const char *value)
{
	check(report, cJSON_AddStringToObject(report->rows, key, value));
}

void report_number(struct report *report, const char *key, int64_t value)
{
	/* As digits: a double has 53 bits. */
	char digits[24];
	snprintf(digits, sizeof digits, "%lld", (long long)value);
	check(report, cJSON_AddRawToObject(report->rows, key, digits));
}

void report_amount(struct report *report, const char *key, const char *value)
{
	cJSON *number = cJSON_ParseWithOpts(value, NULL, true);

	if (cJSON_IsNumber(number))
		check(report, cJSON_AddRawToObject(report->rows, key, value));
	else
		report_text(report, key, value);
	cJSON_Delete(number);
}

void report_flag(struct report *report, const char *key, bool value)
{
	check(report, cJSON_AddBoolToObject(report->rows, key, value));
}

void report_time(struct report *report, const char *key, int64_t seconds)
{
	char text[64];
	struct tm tm;
	time_t t = (time_t)seconds;
	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(text, sizeof text, "?");
	report_text(report, key, text);
}

void report_begin_item(struct report *report, const char *key)
{
	cJSON *list = cJSON_GetObjectItemCaseSensitive(report->root, key);
	if (!list)
		list = cJSON_AddArrayToObject(report->root, key);
	cJSON *item = cJSON_CreateObject();
	check(report, item);
	if (!list || !cJSON_AddItemToArray(list, item)) {
		report->failed = true;
		cJSON_Delete(item);
		item = NULL;
	}
	report->rows = item;
}

void report_end_item(struct report *report)
{
	report->rows = report->root;
}

void report_begin_object(struct report *report, const char *key)
{
	cJSON *object = cJSON_AddObjectToObject(report->root, key);
	check(report, object);
	report->rows = object;
}

void report_list(struct report *report, const char *key)
{
	check(report, cJSON_AddArrayToObject(report->rows, key));
}

void report_add(struct report *report, const char *key, const char *value)
{
	cJSON *list = cJSON_GetObjectItemCaseSensitive(report->rows, key);
	cJSON *text = cJSON_CreateString(value);
	if (!cJSON_AddItemToArray(list, text)) {
		report->failed = true;
		cJSON_Delete(text);
	}
}

static void print_value(const cJSON *row)
{
	if (cJSON_IsBool(row)) {
		printf("%s", cJSON_IsTrue(row) ? "yes" : "no");
		return;
	}
	log_clean(row->valuestring); /* a path may hold anything; JSON escapes it */
	printf("%s", row->valuestring);
}

static void print_rows(const cJSON *rows)
{
	const cJSON *row, *item, *cell;
	cJSON_ArrayForEach(row, rows)
	{
		char name[32];
		snprintf(name, sizeof name, "%s:", row->string);
		for (char *p = name; *p; p++)
			if (*p == '_')
				*p = ' ';
		if (!cJSON_IsArray(row)) {
			printf("%-17s ", name);
			print_value(row);
			printf("\n");
			continue;
		}
		printf("%s\n", name);
		cJSON_ArrayForEach(item, row)
		{
			printf(" ");
			cJSON_ArrayForEach(cell, item)
			{
				if (cJSON_IsString(cell) && !*cell->valuestring)
					continue;
				printf(" %s ", cell->string);
				print_value(cell);
			}
			printf("\n");
		}
	}
}

/* Paths are any bytes, and stand in strings: what is no UTF-8 becomes U+FFFD, or no program could read it. */
static void print_json(const char *text)
{
	for (size_t left = strlen(text); left;) {
		unsigned n = utf8_length(text, left);

		if (n)
			fwrite(text, 1, n, stdout);
		else
			fputs("\\ufffd", stdout);
		text += n ? n : 1;
		left -= n ? n : 1;
	}
	putchar('\n');
}

void report_failure(const char *error)
{
	_cleanup_(report_freep) struct report *report = report_new();

	if (!report)
		return; /* the line on standard error has told */
	report_text(report, "status", "failed");
	report_text(report, "error", error);
	(void)report_print(report, true);
}

int report_print(const struct report *report, bool json)
{
	if (report->failed)
		return -ENOMEM;
	if (!json) {
		print_rows(report->root);
		return 0;
	}
	char *text = cJSON_Print(report->root);
	if (!text)
		return -ENOMEM;
	print_json(text);
	cJSON_free(text);
	return 0;
}
