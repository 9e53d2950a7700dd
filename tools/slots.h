/*
 * slots.h: a store's keyring slots and header, as rows of a report.
 */
#ifndef SCRIBEFS_TOOLS_SLOTS_H
#define SCRIBEFS_TOOLS_SLOTS_H

#include "kv/keyring.h"
#include "tools/report.h"

/* "passphrase", "key-file" or "recovery". */
const char *slots_type_name(enum keyring_slot_type type);
/* The list "slots", an item for each slot. */
void slots_report(struct report *report, const struct keyring_info *info);
/* @id, 16 bytes, as a UUID's text. */
void slots_id_text(const uint8_t id[16], char ret_text[37]);

#endif
