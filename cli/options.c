/*
 * A small parser of command lines: each command describes its options in a table, which also
 * makes its help. Unlike getopt_long() it takes no abbreviations (a later option would change
 * what they mean) and no locale. What it stores are the pointers it was given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int list_add(struct text_list *list, const char *item)
{
	const char **grown = realloc(list->items, (list->count + 2) * sizeof(*grown));

	if (!grown)
		return usage_error("out of memory");
	grown[list->count++] = item;
	grown[list->count] = NULL;
	list->items = grown;
	return 0;
}

void text_list_free(struct text_list *list)
{
	free(list->items);
	*list = (struct text_list){0};
}

static int number_for(const struct cli_option *option, const char *value, uint64_t *out)
{
	if (option->kind == OPTION_SIZE && parse_size(value, out))
		return usage_error("%s: '%.60s' is not a size (write 64k, 256M or 1G)",
				   option->name, value);
	if (option->kind == OPTION_SECONDS && parse_milliseconds(value, out))
		return usage_error("%s: '%.60s' is not a number of seconds above 0 (write 2 or "
				   "0.5)",
				   option->name, value);
	if (option->kind == OPTION_COUNT && parse_count(value, out))
		return usage_error("%s: '%.60s' is not a whole number above 0", option->name,
				   value);
	return 0;
}

static int store(const struct cli_option *option, const char *value, char *target)
{
	void *field = target + option->offset;

	switch (option->kind) {
	case OPTION_FLAG: *(bool *)field = true; return 0;
	case OPTION_TEXT: *(const char **)field = value; return 0;
	case OPTION_LIST: return list_add(field, value);
	case OPTION_SIZE:
	case OPTION_SECONDS:
	case OPTION_COUNT: return number_for(option, value, field);
	}
	return CLI_USAGE;
}

static const struct cli_option *find(const struct cli_syntax *syntax, const char *name, size_t len)
{
	for (size_t i = 0; i < syntax->option_count; i++)
		if (strlen(syntax->options[i].name) == len &&
		    !memcmp(syntax->options[i].name, name, len))
			return &syntax->options[i];
	return NULL;
}

/* Handles argv[*i] and, when the option takes its value from it, the next one. */
static int take_option(const struct cli_syntax *syntax, int argc, char **argv, int *i, void *target)
{
	const char *text = argv[*i];
	const char *equals = text[1] == '-' ? strchr(text, '=') : NULL;
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	const struct cli_option *option = find(syntax, text, len);
	const char *value = equals ? equals + 1 : NULL;

	if (!option)
		return usage_error("unknown option '%.60s'; see pysandbox %.*s --help", text,
				   (int)strcspn(syntax->usage, " "), syntax->usage);
	if (!option->argument && value)
		return usage_error("%s takes no value", option->name);
	if (option->argument && !value && *i + 1 < argc)
		value = argv[++*i];
	if (option->argument && !value)
		return usage_error("%s needs a value: %s", option->name, option->argument);
	return store(option, value, target);
}

static int take_word(const struct cli_syntax *syntax, const char *word, char *target)
{
	const char **field = (const char **)(void *)(target + syntax->word_offset);

	if (syntax->takes_words)
		return list_add((struct text_list *)(void *)field, word);
	if (!syntax->takes_word || *field)
		return usage_error("unexpected argument '%.60s'", word);
	*field = word;
	return 0;
}

static void print_help(const struct cli_syntax *syntax)
{
	char left[64];

	printf("usage: pysandbox %s\n\n%s\n\noptions:\n", syntax->usage, syntax->about);
	for (size_t i = 0; i < syntax->option_count; i++) {
		const struct cli_option *option = &syntax->options[i];

		if (!option->help)
			continue;
		(void)snprintf(left, sizeof(left), "%s %s", option->name,
			       option->argument ? option->argument : "");
		printf("  %-26s %s\n", left, option->help);
	}
	printf("  %-26s %s\n", "--help", "show this text");
}

int cli_parse(const struct cli_syntax *syntax, int argc, char **argv, void *target)
{
	bool words_only = false;
	int rc = 0;

	for (int i = 0; i < argc && !rc; i++) {
		const char *text = argv[i];

		if (!words_only && (!strcmp(text, "--help") || !strcmp(text, "-h"))) {
			print_help(syntax);
			return PARSE_HELP;
		}
		if (!words_only && !strcmp(text, "--"))
			words_only = true;
		else if (!words_only && text[0] == '-' && text[1])
			rc = take_option(syntax, argc, argv, &i, target);
		else
			rc = take_word(syntax, text, target);
	}
	return rc;
}
