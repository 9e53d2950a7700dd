#include "fs/session/uuid.h"

#include "kv/bytes.h"
#include "kv/kv.h"

static void set_version(uint8_t id[16], uint8_t version)
{
	id[6] = (uint8_t)((id[6] & 0x0f) | version << 4);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

void uuid_random(uint8_t ret_id[16])
{
	kv_random(ret_id, 16);
	set_version(ret_id, 4);
}

/* The finaliser of splitmix64: a bijection in which every input bit reaches every output bit. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

void uuid_of_message(const uint8_t session[16], uint32_t number, uint8_t ret_id[16])
{
	uint64_t a = get_be64(session), b = get_be64(session + 8);
	a = mix(a ^ mix(number));
	b = mix(b ^ a);
	a = mix(a ^ b);
	put_be64(put_be64(ret_id, a), b);
	set_version(ret_id, 8);
}

void uuid_format(const uint8_t id[16], char ret_text[UUID_LEN + 1])
{
	static const char hex[] = "0123456789abcdef";
	char *p = ret_text;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[id[i] >> 4];
		*p++ = hex[id[i] & 15];
	}
	*p = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int uuid_parse(const char *text, size_t len, uint8_t ret_id[16])
{
	uint8_t id[16] = {0};
	size_t n = 0;

	if (len != UUID_LEN)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		int v = hex_value(text[i]);
		if (v < 0)
			return -EINVAL;
		id[n / 2] = (uint8_t)(id[n / 2] << 4 | v);
		n++;
	}
	memcpy(ret_id, id, 16);
	return 0;
}
