/*
 * mount_options.h: the words after `mount -o`, as mount(8), fstab and people write them.
 */
#ifndef SCRIBEFS_TOOLS_MOUNT_OPTIONS_H
#define SCRIBEFS_TOOLS_MOUNT_OPTIONS_H

#include "fs/fuse/mount.h"
#include "tools/command.h"
#include "tools/unlock.h"

/*
 * Reads @list ("ro,cache=64M,…"; a backslash takes a comma or backslash literally) into @ret_options and
 * @ret_unlock, whose strings point into @list, which is changed. Words that mount(8) handles itself or
 * that are the default are taken and ignored. -EINVAL after one line that names the word.
 */
int mount_options_parse(const struct command *command, char *list,
	struct mount_options *ret_options, struct unlock_options *ret_unlock);

#endif
