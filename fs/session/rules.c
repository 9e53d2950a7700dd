/*
 * rules.c: which names mean what, by the role of the directory.
 */
#include "fs/session/session_internal.h"

static bool is(const char *name, size_t len, const char *other)
{
	return strlen(other) == len && memcmp(name, other, len) == 0;
}

static uint8_t role_in_session(const char *name, size_t len, mode_t type)
{
	if (type == S_IFDIR && is(name, len, "messages"))
		return ROLE_MESSAGES;
	if (type != S_IFREG)
		return ROLE_PLAIN;
	if (is(name, len, JSON_NAME))
		return ROLE_SESSION_JSON;
	if (is(name, len, "context.json"))
		return ROLE_CONTEXT;
	return is(name, len, "agent") ? ROLE_AGENT : ROLE_PLAIN;
}

uint8_t rules_role(uint8_t parent_role, const char *name, size_t len, mode_t type)
{
	bool dir = type == S_IFDIR && name[0] != '.';

	switch (parent_role) {
	case ROLE_USERS:
		return dir ? ROLE_USER : ROLE_PLAIN;
	case ROLE_USER:
		if (type == S_IFDIR && is(name, len, ".trash"))
			return ROLE_TRASH;
		return dir ? ROLE_WORKFLOW : ROLE_PLAIN;
	case ROLE_TRASH:
		return dir ? ROLE_WORKFLOW : ROLE_PLAIN;
	case ROLE_WORKFLOW:
		return dir ? ROLE_SESSION : ROLE_PLAIN;
	case ROLE_SESSION:
		return role_in_session(name, len, type);
	case ROLE_MESSAGES:
		return type == S_IFREG && name_message_number(name, len) ? ROLE_MESSAGE
		                                                         : ROLE_PLAIN;
	default:
		return ROLE_PLAIN;
	}
}

int rules_check_name(uint8_t parent_role, const char *name, size_t len, mode_t type)
{
	switch (parent_role) {
	case ROLE_USERS:
		if (type != S_IFDIR || name[0] == '.')
			return -EPERM;
		return 0;
	case ROLE_USER:
	case ROLE_WORKFLOW:
	case ROLE_SESSION:
		return is(name, len, SNAPSHOTS_NAME) ? -EPERM : 0;
	default:
		return 0;
	}
}

bool rules_is_next(uint8_t parent_role, const char *name)
{
	return parent_role == ROLE_MESSAGES && strcmp(name, "next.md") == 0;
}
