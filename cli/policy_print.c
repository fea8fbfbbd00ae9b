/*
 * Prints the library's compact JSON for people: an object's members on lines of their own, a list
 * as running text. Reads JSON that the library made; of anything else it prints every byte too.
 */
#include <stdio.h>
#include <string.h>

#include "policy.h"

#define INDENT 2
#define WIDTH 96

struct printer {
	int depth;
	int lists; /* open lists: within one, nothing is put on lines of its own */
	int column;
	bool space; /* one is due before the next item of a list, or a new line */
};

static void put(struct printer *printer, const char *text, size_t len)
{
	(void)fwrite(text, 1, len, stdout);
	printer->column += (int)len;
}

static void new_line(struct printer *printer)
{
	printf("\n%*s", printer->depth * INDENT, "");
	printer->column = printer->depth * INDENT;
}

/* A string, number or word, whole. */
static size_t token_length(const char *json)
{
	size_t len = 1;

	if (json[0] != '"')
		return strcspn(json, ",:]}");
	while (json[len] && json[len] != '"')
		len += json[len] == '\\' && json[len + 1] ? 2 : 1;
	return json[len] ? len + 1 : len;
}

static void put_token(struct printer *printer, const char *token, size_t len)
{
	if (printer->lists && printer->column + (int)len > WIDTH)
		new_line(printer);
	else if (printer->space)
		put(printer, " ", 1);
	printer->space = false;
	put(printer, token, len);
}

static void open_bracket(struct printer *printer, const char *json)
{
	bool empty = json[1] == '}' || json[1] == ']';

	put(printer, json, 1);
	printer->depth++;
	printer->lists += json[0] == '[';
	if (!empty && !printer->lists)
		new_line(printer);
}

static void close_bracket(struct printer *printer, const char *json, char before)
{
	printer->depth--;
	if (before != '{' && before != '[' && !printer->lists)
		new_line(printer);
	printer->lists -= json[0] == ']';
	put(printer, json, 1);
}

void print_indented(const char *json)
{
	struct printer printer = {0};
	char before = '\0';

	while (*json) {
		size_t len = 1;

		switch (*json) {
		case '{':
		case '[': open_bracket(&printer, json); break;
		case '}':
		case ']': close_bracket(&printer, json, before); break;
		case ':': put(&printer, ": ", 2); break;
		case ',':
			put(&printer, ",", 1);
			printer.space = printer.lists > 0;
			if (!printer.lists)
				new_line(&printer);
			break;
		default:
			len = token_length(json);
			len += len == 0;
			put_token(&printer, json, len);
		}
		before = *json;
		json += len;
	}
	printf("\n");
}
