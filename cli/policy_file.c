/*
 * --policy NAME|FILE, for every command that takes it. A template's name is the library's to know;
 * anything else that is there as a file, or looks like a path, is read. The text is the library's
 * to judge, but for a NUL byte, behind which it could not see.
 */
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define POLICY_MAX_BYTES (1u << 20)

static bool is_template(const char *name)
{
	const char *known;

	for (size_t i = 0; (known = psb_policy_name(i)); i++)
		if (!strcmp(name, known))
			return true;
	return false;
}

static bool is_path(const char *name)
{
	size_t len = strlen(name);

	if (name[0] == '{' || is_template(name))
		return false;
	return strchr(name, '/') || (len > 5 && !strcmp(name + len - 5, ".json")) ||
	       access(name, F_OK) == 0;
}

int read_policy(const char *option, struct text *text, struct psb_options *options)
{
	int rc;

	options->policy = option;
	if (!option || !is_path(option))
		return 0;
	rc = read_file(option, POLICY_MAX_BYTES, text);
	if (rc)
		return rc;
	if (strlen(text->data) != text->len)
		return usage_error("%.300s: byte %zu is NUL; a policy is a text", option,
				   strlen(text->data));
	options->policy = text->data + strspn(text->data, " \t\r\n");
	if (options->policy[0] != '{')
		return usage_error("%.300s: a policy is a JSON object", option);
	return 0;
}
