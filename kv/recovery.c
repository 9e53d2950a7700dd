/*
 * The text of a recovery key: 40 symbols of Crockford's base 32 (0-9, A-Z without I, L, O, U) in
 * ten groups of four,
 *
 *   R1xx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxcc-cccc
 *
 * "R1" names the form, 32 symbols x are the key's 160 bits, six symbols c are the BCH code of
 * BIP 173 over the 34 before them. Within 89 symbols it detects every error in up to four of them,
 * so any one mistyped symbol and any two swapped ones, and all but one in 2^30 of the others.
 */
#include "kv/keyring_file.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define PREFIX_SYMBOLS 2
#define KEY_SYMBOLS 32
#define CHECK_SYMBOLS 6
#define SYMBOLS (PREFIX_SYMBOLS + KEY_SYMBOLS + CHECK_SYMBOLS)
#define GROUP 4

_Static_assert(SYMBOLS + SYMBOLS / GROUP <= KEYRING_RECOVERY_TEXT, "keyring.h");

static const char alphabet[33] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* The value of a symbol as people write it, or -1. */
static int symbol_value(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

/* Remainder of the symbols, as a polynomial over GF(32), by the code's generator. */
static uint32_t remainder32(const uint8_t *symbols, size_t n)
{
	static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
		0x2a1462b3};
	uint32_t rest = 1;
	for (size_t i = 0; i < n; i++) {
		uint32_t top = rest >> 25;
		rest = (rest & 0x1ffffff) << 5 ^ symbols[i];
		for (int bit = 0; bit < 5; bit++)
			if (top >> bit & 1)
				rest ^= generator[bit];
	}
	return rest;
}

void keyring_recovery_format(const uint8_t key[20], char ret_text[KEYRING_RECOVERY_TEXT])
{
	uint8_t symbols[SYMBOLS] = {(uint8_t)symbol_value('R'), (uint8_t)symbol_value('1')};
	for (int i = 0; i < KEY_SYMBOLS; i++) {
		int bit = i * 5;
		unsigned pair = (unsigned)key[bit / 8] << 8;
		if (bit / 8 + 1 < 20)
			pair |= key[bit / 8 + 1];
		symbols[PREFIX_SYMBOLS + i] = pair >> (11 - bit % 8) & 31;
	}
	/* The check symbols are what brings the remainder of all of them to zero; 1 as BIP 173. */
	uint32_t check = remainder32(symbols, SYMBOLS) ^ 1;
	for (int i = 0; i < CHECK_SYMBOLS; i++)
		symbols[SYMBOLS - CHECK_SYMBOLS + i] = check >> (5 * (CHECK_SYMBOLS - 1 - i)) & 31;

	char *out = ret_text;
	for (int i = 0; i < SYMBOLS; i++) {
		if (i > 0 && i % GROUP == 0)
			*out++ = '-';
		*out++ = alphabet[symbols[i]];
	}
	*out = '\0';
	sodium_memzero(symbols, sizeof symbols);
}

int keyring_recovery_parse(const char *text, size_t len, uint8_t ret_key[20])
{
	uint8_t symbols[SYMBOLS];
	uint8_t key[20] = {0};
	size_t n = 0;
	int r = -EINVAL;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '-' || text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r'))
			continue;
		int value = symbol_value(text[i]);
		if (value < 0 || n == SYMBOLS)
			goto out;
		symbols[n++] = (uint8_t)value;
	}
	if (n != SYMBOLS || symbols[0] != symbol_value('R') || symbols[1] != symbol_value('1') ||
		remainder32(symbols, SYMBOLS) != 1)
		goto out;
	for (int i = 0; i < KEY_SYMBOLS; i++) {
		int bit = i * 5;
		unsigned pair = (unsigned)symbols[PREFIX_SYMBOLS + i] << (11 - bit % 8);
		key[bit / 8] |= (uint8_t)(pair >> 8);
		if (bit / 8 + 1 < 20)
			key[bit / 8 + 1] |= (uint8_t)pair;
	}
	memcpy(ret_key, key, sizeof key);
	r = 0;
out:
	sodium_memzero(symbols, sizeof symbols);
	sodium_memzero(key, sizeof key);
	return r;
}
