/*
 * fuzz_text.c: what people write in a word: durations and counts of policies, points in time, time stamps, UUIDs,
 * titles
 * that become names, recovery keys. The input is the text, without NULs. What is accepted reads the same when it is
 * written again.
 */
#include "fs/session/property.h"
#include "fs/session/timestamp.h"
#include "fs/session/title.h"
#include "fs/session/uuid.h"
#include "fs/session/when.h"
#include "fs/views/link_name.h"
#include "kv/keyring_file.h"
#include "tests/fuzz/world.h"

#define YEAR_0 (-62167219200)
#define YEAR_10000 253402300800

static void check_time(const char *text, size_t len)
{
	const struct timespec now = {.tv_sec = 1700000000, .tv_nsec = 5};
	struct timespec ts, again;
	char stamp[TIMESTAMP_LEN + 1];

	if (timestamp_parse(text, len, &ts) == 0) {
		expect(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
		timestamp_format(timestamp_ms(&ts), stamp);
		/* A zone may take the first and the last days out of what four digits can say. */
		if (ts.tv_sec >= YEAR_0 + 367 * 86400 && ts.tv_sec < YEAR_10000) {
			expect(timestamp_parse(stamp, TIMESTAMP_LEN, &again) == 0);
			expect(again.tv_sec == ts.tv_sec && again.tv_nsec / 1000000 == ts.tv_nsec / 1000000);
		}
	}
	if (when_parse(text, &now, &ts) == 0)
		expect(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
}

static void check_policies(const char *text, size_t len)
{
	int64_t value;

	for (size_t i = 0; property_at(i); i++)
		if (property_parse(property_at(i), text, len, &value) == 0)
			expect(value >= 0 && value <= 999999999 * INT64_C(604800000) && len < PROPERTY_TEXT);
	const struct property *p = property_find(text);
	expect(!p || (strcmp(p->name, text) == 0 && property_fallback(p) >= 0));
}

static void check_uuid(const char *text, size_t len)
{
	char again[UUID_LEN + 1];
	uint8_t id[16], id_again[16];

	if (uuid_parse(text, len, id) < 0)
		return;
	uuid_format(id, again);
	expect(strcasecmp(again, text) == 0 && uuid_parse(again, UUID_LEN, id_again) == 0);
	expect(memcmp(id, id_again, sizeof id) == 0);
}

static void check_recovery(const char *text, size_t len)
{
	char again[KEYRING_RECOVERY_TEXT];
	uint8_t key[20], key_again[20];

	if (keyring_recovery_parse(text, len, key) < 0)
		return;
	keyring_recovery_format(key, again);
	expect(keyring_recovery_parse(again, strlen(again), key_again) == 0 && memcmp(key, key_again,
		sizeof key) == 0);
}

static void check_title(const char *text, size_t len)
{
	char name[LINK_NAME_MAX + 1], title[TITLE_AUTO_MAX + 1];

	title_of_text(text, len, title);
	expect(utf8_valid(title, strlen(title)) && !strchr(title, '\n'));
	(void)link_name_number(text);
	if (!utf8_valid(text, len))
		return;
	expect(link_name_of(text, name) == 0);
	expect(name[0] && name[0] != '.' && !strchr(name, '/') && utf8_valid(name, strlen(name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf text = {0};

	if (size > 1 << 12 || (size && memchr(data, 0, size)))
		return 0;
	expect(buf_append(&text, data, size) == 0 && buf_append(&text, "", 1) == 0);
	check_time((char *)text.data, size);
	check_policies((char *)text.data, size);
	check_uuid((char *)text.data, size);
	check_recovery((char *)text.data, size);
	check_title((char *)text.data, size);
	return 0;
}
