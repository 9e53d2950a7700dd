/*
 * The keyring's bytes. FORMAT.md, section Keyring, explains the fields.
 *
 *   header    0  8  "SCRIBEKR"            slot     0  u8   number, 0 … 15
 *             8  u32 format (1)                    1  u8   type
 *            12  u32 compat                        2  u8   length of the label
 *            16  u32 ro_compat                     3  u8   0
 *            20  u32 incompat                      4  i64  created, seconds since 1970
 *            24  16  store id                     12  u64  opslimit
 *            40  u8  cipher                       20  u64  memlimit, bytes
 *            41  u8  number of slots              28  16   salt
 *            42  u16 0                            44  64   label, then zeros
 *            44  u32 highest domain ever         108  72   the master key, wrapped
 *            48  u32 number of domains   domain    0  u32  number
 *            52  12  0                             4  u16  generation of the key, from 1
 *                                                  6  u8   wrap (1)
 *                                                  7  u8   0
 *                                                  8  72   the domain's key, wrapped
 *
 *   header, slots, domains, MAC (32), digest of all that is before it (16)
 */
#include "kv/bytes.h"
#include "kv/keyring_file.h"

#include <sodium.h>

#define TRAILER_BYTES (KEYRING_MAC_BYTES + KEYRING_DIGEST_BYTES)
#define WRAP_MASTER 1 /* by a key derived from the master key */

static const uint8_t magic[8] = "SCRIBEKR";
static const uint8_t zeros[KEYRING_LABEL_MAX];

void keyring_file_release(struct keyring_file *f)
{
	free(f->domain);
	f->domain = NULL;
	f->domains = 0;
}

bool keyring_label_valid(const char *label, size_t len)
{
	if (len > KEYRING_LABEL_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)label[i] < ' ' || label[i] == 0x7f)
			return false;
	return true;
}

/* ---- encode ---------------------------------------------------------------------------------- */

static void encode_header(const struct keyring_file *f, uint8_t *p)
{
	p = put_bytes(p, magic, sizeof magic);
	p = put_be32(p, KEYRING_FORMAT);
	p = put_be32(p, f->compat);
	p = put_be32(p, f->ro_compat);
	p = put_be32(p, f->incompat);
	p = put_bytes(p, f->id, sizeof f->id);
	p = put_u8(p, (uint8_t)f->cipher);
	p = put_u8(p, (uint8_t)f->slots);
	p = put_be16(p, 0);
	p = put_be32(p, f->last_domain);
	p = put_be32(p, (uint32_t)f->domains);
	put_bytes(p, zeros, 12);
}

static void encode_slot_header(const struct keyring_slot *s, uint8_t *p)
{
	size_t label = strlen(s->info.label);
	p = put_u8(p, (uint8_t)s->info.number);
	p = put_u8(p, (uint8_t)s->info.type);
	p = put_u8(p, (uint8_t)label);
	p = put_u8(p, 0);
	p = put_be64(p, (uint64_t)s->info.created);
	p = put_be64(p, s->info.opslimit);
	p = put_be64(p, s->info.memlimit);
	p = put_bytes(p, s->salt, sizeof s->salt);
	p = put_bytes(p, s->info.label, label);
	put_bytes(p, zeros, KEYRING_LABEL_MAX - label);
}

static void encode_domain_header(const struct keyring_domain *d, uint8_t *p)
{
	p = put_be32(p, d->number);
	p = put_be16(p, d->generation);
	p = put_u8(p, WRAP_MASTER);
	put_u8(p, 0);
}

/*
 * What a wrap is bound to: the store, its cipher and its own header. The counts and masks are not
 * in it, or every new domain would need every slot's secret to wrap the master key anew; they are
 * under the MAC.
 */
static uint8_t *associated_data(const struct keyring_file *f, const char label[8], uint8_t *p)
{
	p = put_bytes(p, label, 8);
	p = put_bytes(p, f->id, sizeof f->id);
	return put_u8(p, (uint8_t)f->cipher);
}

size_t keyring_slot_ad(const struct keyring_file *f, const struct keyring_slot *s,
	uint8_t ret_ad[KEYRING_AD_MAX])
{
	uint8_t *p = associated_data(f, "scribesl", ret_ad);
	encode_slot_header(s, p);
	return (size_t)(p - ret_ad) + KEYRING_SLOT_HEADER_BYTES;
}

size_t keyring_domain_ad(const struct keyring_file *f, const struct keyring_domain *d,
	uint8_t ret_ad[KEYRING_AD_MAX])
{
	uint8_t *p = associated_data(f, "scribedo", ret_ad);
	encode_domain_header(d, p);
	return (size_t)(p - ret_ad) + KEYRING_DOMAIN_HEADER_BYTES;
}

static size_t file_bytes(size_t slots, size_t domains)
{
	return KEYRING_HEADER_BYTES + slots * KEYRING_SLOT_BYTES + domains * KEYRING_DOMAIN_BYTES +
		TRAILER_BYTES;
}

int keyring_file_encode(const struct keyring_file *f, const uint8_t mac_key[32],
	struct buf *ret_bytes)
{
	size_t len = file_bytes(f->slots, f->domains);
	if (f->ro_compat & ~KEYRING_RO_COMPAT)
		return -EROFS;
	if (len > KEYRING_FILE_MAX)
		return -ENOSPC;
	int r = buf_resize(ret_bytes, len);
	if (r < 0)
		return r;
	uint8_t *p = ret_bytes->data;
	encode_header(f, p);
	p += KEYRING_HEADER_BYTES;
	for (size_t i = 0; i < f->slots; i++) {
		encode_slot_header(&f->slot[i], p);
		put_bytes(p + KEYRING_SLOT_HEADER_BYTES, f->slot[i].wrapped, KEYRING_WRAPPED);
		p += KEYRING_SLOT_BYTES;
	}
	for (size_t i = 0; i < f->domains; i++) {
		encode_domain_header(&f->domain[i], p);
		put_bytes(p + KEYRING_DOMAIN_HEADER_BYTES, f->domain[i].wrapped, KEYRING_WRAPPED);
		p += KEYRING_DOMAIN_BYTES;
	}
	crypto_generichash_blake2b(p, KEYRING_MAC_BYTES, ret_bytes->data, len - TRAILER_BYTES,
		mac_key, 32);
	crypto_generichash_blake2b(p + KEYRING_MAC_BYTES, KEYRING_DIGEST_BYTES, ret_bytes->data,
		len - KEYRING_DIGEST_BYTES, NULL, 0);
	return 0;
}

/* ---- decode ---------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *p, size_t len)
{
	return p && sodium_is_zero(p, len);
}

/* Format and features come first: what follows is only understood with them. */
static int decode_header(struct bytes_reader *r, struct keyring_file *f)
{
	const uint8_t *p = read_bytes(r, sizeof magic);
	if (!p || memcmp(p, magic, sizeof magic) != 0)
		return -EBADMSG;
	uint32_t format = read_be32(r);
	f->compat = read_be32(r);
	f->ro_compat = read_be32(r);
	f->incompat = read_be32(r);
	if (r->bad || format == 0)
		return -EBADMSG;
	if (format > KEYRING_FORMAT || (f->incompat & ~KEYRING_INCOMPAT))
		return -EPROTONOSUPPORT;
	p = read_bytes(r, sizeof f->id);
	if (p)
		memcpy(f->id, p, sizeof f->id);
	f->cipher = read_u8(r);
	f->slots = read_u8(r);
	uint16_t pad = read_be16(r);
	f->last_domain = read_be32(r);
	f->domains = read_be32(r);
	if (!all_zero(read_bytes(r, 12), 12) || pad != 0)
		return -EBADMSG;
	if (f->cipher != KV_CIPHER_XCHACHA20_POLY1305 && f->cipher != KV_CIPHER_AES_256_GCM)
		return -EBADMSG;
	if (f->slots < 1 || f->slots > KEYRING_SLOTS || f->domains > KEYRING_FILE_MAX)
		return -EBADMSG;
	return 0;
}

static int decode_slot(struct bytes_reader *r, struct keyring_slot *s)
{
	s->info.number = read_u8(r);
	s->info.type = read_u8(r);
	uint8_t label_len = read_u8(r);
	uint8_t pad = read_u8(r);
	s->info.created = (int64_t)read_be64(r);
	s->info.opslimit = read_be64(r);
	s->info.memlimit = read_be64(r);
	const uint8_t *salt = read_bytes(r, sizeof s->salt);
	const uint8_t *label = read_bytes(r, KEYRING_LABEL_MAX);
	const uint8_t *wrapped = read_bytes(r, sizeof s->wrapped);
	if (r->bad || pad != 0 || s->info.number >= KEYRING_SLOTS)
		return -EBADMSG;
	if (label_len > KEYRING_LABEL_MAX || !keyring_label_valid((const char *)label, label_len) ||
		!all_zero(label + label_len, KEYRING_LABEL_MAX - label_len))
		return -EBADMSG;
	switch (s->info.type) {
	case KEYRING_PASSPHRASE:
		if (!keyring_limits_valid(s->info.opslimit, s->info.memlimit))
			return -EBADMSG;
		break;
	case KEYRING_KEY_FILE:
	case KEYRING_RECOVERY:
		if (s->info.opslimit != 0 || s->info.memlimit != 0)
			return -EBADMSG;
		break;
	default:
		return -EBADMSG;
	}
	memcpy(s->info.label, label, label_len);
	s->info.label[label_len] = '\0';
	memcpy(s->salt, salt, sizeof s->salt);
	memcpy(s->wrapped, wrapped, sizeof s->wrapped);
	return 0;
}

static int decode_domain(struct bytes_reader *r, struct keyring_domain *d)
{
	d->number = read_be32(r);
	d->generation = read_be16(r);
	uint8_t wrap = read_u8(r), pad = read_u8(r);
	const uint8_t *wrapped = read_bytes(r, sizeof d->wrapped);
	if (!wrapped || d->generation == 0 || wrap != WRAP_MASTER || pad != 0)
		return -EBADMSG;
	memcpy(d->wrapped, wrapped, sizeof d->wrapped);
	return 0;
}

/* Slots and domains, whose bytes are known to be there. */
static int decode_tables(struct bytes_reader *r, struct keyring_file *f)
{
	for (unsigned i = 0; i < f->slots; i++) {
		int e = decode_slot(r, &f->slot[i]);
		if (e < 0)
			return e;
		if (i > 0 && f->slot[i].info.number <= f->slot[i - 1].info.number)
			return -EBADMSG;
	}
	for (size_t i = 0; i < f->domains; i++) {
		struct keyring_domain *d = &f->domain[i];
		int e = decode_domain(r, d);
		if (e < 0)
			return e;
		/* Domain 0 is always there. */
		if (i == 0 ? d->number != 0 : d->number <= d[-1].number)
			return -EBADMSG;
		if (d->number > f->last_domain)
			return -EBADMSG;
	}
	return f->domains ? 0 : -EBADMSG;
}

/*
 * Tells a damaged file from a wrong secret before any secret is asked for; it protects against
 * nobody who means harm, the MAC does.
 */
static bool digest_right(const uint8_t *data, size_t len)
{
	uint8_t digest[KEYRING_DIGEST_BYTES];
	len -= sizeof digest;
	crypto_generichash_blake2b(digest, sizeof digest, data, len, NULL, 0);
	return memcmp(digest, data + len, sizeof digest) == 0;
}

int keyring_file_decode(const void *data, size_t len, struct keyring_file *ret_file)
{
	struct keyring_file f = {0};
	struct bytes_reader r = bytes_reader(data, len);
	int e = decode_header(&r, &f);
	if (e < 0)
		return e;
	if (len != file_bytes(f.slots, f.domains) || !digest_right(data, len))
		return -EBADMSG;
	f.domain = calloc(f.domains ? f.domains : 1, sizeof *f.domain);
	if (!f.domain)
		return -ENOMEM;
	e = decode_tables(&r, &f);
	if (e < 0) {
		keyring_file_release(&f);
		return e;
	}
	*ret_file = f;
	return 0;
}

int keyring_file_verify(const void *data, size_t len, const uint8_t mac_key[32])
{
	const uint8_t *p = data;
	uint8_t mac[KEYRING_MAC_BYTES];
	if (len < TRAILER_BYTES)
		return -EBADMSG;
	len -= TRAILER_BYTES;
	crypto_generichash_blake2b(mac, sizeof mac, p, len, mac_key, 32);
	return sodium_memcmp(mac, p + len, sizeof mac) == 0 ? 0 : -EBADMSG;
}
