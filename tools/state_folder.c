#include "tools/state_folder.h"

#include "kv/log.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Root with somebody else's $HOME (sudo) must not leave files there that their owner cannot write. */
static bool is_own(const char *path)
{
	struct stat st;
	return path && path[0] == '/' && stat(path, &st) == 0 && st.st_uid == geteuid();
}

static const char *home(void)
{
	const char *path = getenv("HOME");
	if (is_own(path))
		return path;
	const struct passwd *pw = getpwuid(geteuid());
	return pw && pw->pw_dir && pw->pw_dir[0] == '/' ? pw->pw_dir : NULL;
}

/* mkdir -p, private. What cannot be made will be missed by who opens a file in it. */
static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	mkdir(path, 0700);
}

const char *state_folder(const char *name, char ret_path[PATH_MAX])
{
	const char *state = getenv("XDG_STATE_HOME");
	int n;
	if (state && state[0] == '/') {
		n = snprintf(ret_path, PATH_MAX, "%s/scribefs/%s", state, name);
	} else {
		const char *at = home();
		n = at ? snprintf(ret_path, PATH_MAX, "%s/.local/state/scribefs/%s", at, name) : -1;
	}
	if (n < 0 || n >= PATH_MAX) {
		log_warning("notice: there is no folder to keep what is known of stores in, so an older copy in "
			    "a store's place would not be noticed; set HOME or XDG_STATE_HOME");
		return NULL;
	}
	make_folders(ret_path);
	return ret_path;
}
