#include "tools/slots.h"

#include <stdio.h>

const char *slots_type_name(enum keyring_slot_type type)
{
	switch (type) {
	case KEYRING_PASSPHRASE:
		return "passphrase";
	case KEYRING_KEY_FILE:
		return "key-file";
	case KEYRING_RECOVERY:
		return "recovery";
	}
	return "unknown";
}

void slots_report(struct report *report, const struct keyring_info *info)
{
	for (unsigned i = 0; i < info->slots; i++) {
		const struct keyring_slot_info *slot = &info->slot[i];
		report_begin_item(report, "slots");
		report_number(report, "slot", slot->number);
		report_text(report, "type", slots_type_name(slot->type));
		report_time(report, "created", slot->created);
		if (slot->type == KEYRING_PASSPHRASE) {
			report_number(report, "memory", (int64_t)slot->memlimit);
			report_number(report, "passes", (int64_t)slot->opslimit);
		}
		report_text(report, "label", slot->label);
		report_end_item(report);
	}
}

void slots_id_text(const uint8_t id[16], char ret_text[37])
{
	size_t n = 0;
	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret_text[n++] = '-';
		n += (size_t)snprintf(ret_text + n, 3, "%02x", id[i]);
	}
}
