/*
 * state_folder.h: where what is known about stores lies outside of them.
 */
#ifndef SCRIBEFS_TOOLS_STATE_FOLDER_H
#define SCRIBEFS_TOOLS_STATE_FOLDER_H

#include <limits.h>

/*
 * The folder @name in the user's state folder of scribefs, made where it is missing, 0700:
 * $XDG_STATE_HOME/scribefs/@name, else ~/.local/state/scribefs/@name, where ~ is $HOME if that is the
 * user's own folder, else what the system has as his home. Returns @ret_path, whether or not the folder
 * could be made; NULL after one line where there is no such place at all.
 */
const char *state_folder(const char *name, char ret_path[PATH_MAX]);

#endif
