/*
 * repack.c: archived sessions are packed (fs/core/pack.h), one after the other, and their records say so:
 * `metadata.compressed`. lifecycle.h is the contract.
 */
#include "fs/session/lifecycle.h"

#include "kv/log.h"

/* What tells that somebody has written into the session meanwhile. */
static bool same(const struct srec *a, const struct srec *b)
{
	return a->changed == b->changed && a->messages == b->messages && a->tokens == b->tokens &&
	       a->number_high == b->number_high && a->activity == b->activity;
}

/* Reads the record, and whether there is something to pack; with @packed it is marked if it is still that one. */
static int look_once(struct sessions *s, struct inode *session, const struct srec *packed, struct srec *ret_rec,
        bool *ret_wanted)
{
	_cleanup_srec_ struct srec rec = {0};
	_cleanup_place_ struct place place = {0};
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = op_lock(&op, &session, 1);
	if (r == 0)
		r = srec_load(&op, session->container, &rec);
	if (r == 0)
		r = place_of_session(&op, session->container, &place);
	if (r < 0)
		return r;
	struct moment moment = place_moment(s, session->container, &place);
	/* Not before a copy that was just made has been compared with what it is of: session.json will say it. */
	*ret_wanted = !place.trash && !(rec.flags & SREC_PACKED) && srec_state(&rec, &moment) == STATE_ARCHIVED &&
	              moment.now - rec.changed >= RESTORED_HOLDS_MS;
	if (packed && *ret_wanted && same(&rec, packed)) {
		rec.flags = (uint16_t)((rec.flags | SREC_PACKED) & ~SREC_PACKED_SAID);
		r = srec_store(&op, session->container, &rec);
		return r < 0 ? r : op_commit(&op);
	}
	*ret_rec = rec;
	rec = (struct srec){0};
	return 0;
}

/* The packer of the session's user; -ENODATA: there is too little of him to learn from. */
static int take_packer(struct repack *p, struct inode *session)
{
	uint32_t domain = session->container->domain;

	if (p->domain != domain) {
		core_packer_free(p->packer);
		p->packer = NULL;
		p->domain = domain;
		p->error = core_packer_open(p->s->core, session->ino, p->stop, &p->packer);
	}
	return p->error;
}

int repack_session(struct repack *p, struct inode *session)
{
	_cleanup_srec_ struct srec rec = {0}, rest = {0};
	struct kv_packed sums;
	bool wanted;
	int r = OP_RETRY(look_once(p->s, session, NULL, &rec, &wanted));

	if (r < 0 || !wanted || writers_any(p->s, session->container->id))
		return r;
	r = take_packer(p, session);
	if (r == 0)
		r = core_pack(p->packer, session->ino, &sums);
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	p->sums.records += sums.records;
	p->sums.plain += sums.plain;
	p->sums.before += sums.before;
	p->sums.after += sums.after;
	p->sessions++;
	return OP_RETRY(look_once(p->s, session, &rec, &rest, &wanted));
}

void repack_end(struct repack *p)
{
	core_packer_free(p->packer);
	if (p->sessions)
		log_info("packed %u archived sessions: %llu bytes are %llu now, of %llu that they hold", p->sessions,
		        (unsigned long long)p->sums.before, (unsigned long long)p->sums.after,
		        (unsigned long long)p->sums.plain);
	*p = (struct repack){0};
}
