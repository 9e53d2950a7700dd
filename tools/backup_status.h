/*
 * backup_status.h: what `scribefs status` says of a store's backups.
 */
#ifndef SCRIBEFS_TOOLS_BACKUP_STATUS_H
#define SCRIBEFS_TOOLS_BACKUP_STATUS_H

#include "tools/report.h"

/*
 * For each folder of backups of @store the newest good one, when it was made and verified, as the list `backups`; and
 * what is wrong with that as the list `warnings`. Needs no secret. A backup has none.
 */
void backup_status_report(struct report *report, const char *store);

#endif
