/*
 * JSON's tokens: escapes, string characters, numbers. Shared by the checker (hostile text) and the
 * reader (checked text). Nothing here allocates, and nothing depends on the locale, which is why
 * strtod() is not used.
 */
#include "core/json_text.h"

#include <string.h>

#include "core/utf8.h"

static int hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

/* \uXXXX at text[0]; false if it is not one. */
static bool code_unit(const uint8_t *text, size_t len, uint32_t *unit)
{
	uint32_t value = 0;

	if (len < 6 || text[0] != '\\' || text[1] != 'u')
		return false;
	for (size_t i = 2; i < 6; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (uint32_t)digit;
	}
	*unit = value;
	return true;
}

static bool unescape_unicode(const uint8_t *text, size_t len, size_t *used, uint32_t *code_point)
{
	uint32_t high = 0;
	uint32_t low = 0;

	if (!code_unit(text, len, &high))
		return false;
	if (high < 0xd800 || high > 0xdfff) {
		*used = 6;
		*code_point = high;
		return true;
	}
	if (high > 0xdbff || !code_unit(text + 6, len - 6, &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*used = 12;
	*code_point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

bool json_unescape(const uint8_t *text, size_t len, size_t *used, uint32_t *code_point)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (len < 2 || text[1] == '\0')
		return false;
	if (text[1] == 'u')
		return unescape_unicode(text, len, used, code_point);
	letter = strchr(letters, text[1]);
	if (!letter)
		return false;
	*used = 2;
	*code_point = (uint32_t)values[letter - letters];
	return true;
}

static uint32_t decode_utf8(const uint8_t *at, int n)
{
	static const uint8_t lead_bits[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code_point = at[0] & lead_bits[n];

	for (int i = 1; i < n; i++)
		code_point = code_point << 6 | (at[i] & 0x3f);
	return code_point;
}

bool json_next_char(struct json_chars *chars, uint32_t *code_point)
{
	size_t used = 0;

	if (chars->left == 0 || chars->at[0] == '"')
		return false;
	if (chars->at[0] == '\\') {
		if (!json_unescape(chars->at, chars->left, &used, code_point))
			return false;
	} else {
		int n = utf8_char(chars->at, chars->left);

		if (n <= 0)
			return false;
		used = (size_t)n;
		*code_point = decode_utf8(chars->at, n);
	}
	chars->at += used;
	chars->left -= used;
	return true;
}

static size_t count_digits(const uint8_t *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

/* The part from 'e' on; 0 if malformed. */
static size_t scan_exponent(const uint8_t *text, size_t len, int32_t *exponent)
{
	size_t at = 1;
	bool negative = false;
	int32_t value = 0;
	size_t digits;

	if (at < len && (text[at] == '+' || text[at] == '-'))
		negative = text[at++] == '-';
	digits = count_digits(text + at, len - at);
	if (digits == 0)
		return 0;
	for (size_t i = 0; i < digits && value < 1000000; i++)
		value = value * 10 + (text[at + i] - '0');
	if (value > 1000000)
		value = 1000000;
	*exponent = negative ? -value : value;
	return at + digits;
}

size_t json_scan_number(const uint8_t *text, size_t len, struct json_number *out)
{
	size_t at = 0;

	*out = (struct json_number){.is_integer = true};
	if (at < len && text[at] == '-') {
		out->negative = true;
		at++;
	}
	out->digits = text + at;
	out->digit_count = count_digits(text + at, len - at);
	if (out->digit_count == 0 || (out->digit_count > 1 && text[at] == '0'))
		return 0;
	at += out->digit_count;
	if (at < len && text[at] == '.') {
		out->is_integer = false;
		out->fraction = text + at + 1;
		out->fraction_count = count_digits(text + at + 1, len - at - 1);
		if (out->fraction_count == 0)
			return 0;
		at += 1 + out->fraction_count;
	}
	if (at < len && (text[at] == 'e' || text[at] == 'E')) {
		size_t used = scan_exponent(text + at, len - at, &out->exponent);

		out->is_integer = false;
		if (used == 0)
			return 0;
		at += used;
	}
	return at;
}

static uint8_t nth_digit(const struct json_number *number, size_t i)
{
	if (i < number->digit_count)
		return number->digits[i];
	i -= number->digit_count;
	return i < number->fraction_count ? number->fraction[i] : (uint8_t)'0';
}

static bool integer_fits(const struct json_number *number)
{
	const char *most = number->negative ? "9223372036854775808" : "9223372036854775807";

	return number->digit_count < 19 ||
	       (number->digit_count == 19 && memcmp(number->digits, most, 19) <= 0);
}

/* Finite as a double: compares the magnitude and the 17 leading digits with DBL_MAX. */
static bool real_fits(const struct json_number *number)
{
	static const char most[] = "17976931348623157";
	size_t total = number->digit_count + number->fraction_count;
	size_t first = 0;
	int64_t magnitude;

	while (first < total && nth_digit(number, first) == '0')
		first++;
	if (first == total)
		return true;
	magnitude = (int64_t)number->digit_count - 1 - (int64_t)first + number->exponent;
	if (magnitude != 308)
		return magnitude < 308;
	for (size_t i = 0; i < sizeof(most) - 1; i++) {
		uint8_t digit = nth_digit(number, first + i);

		if (digit != (uint8_t)most[i])
			return digit < (uint8_t)most[i];
	}
	return true;
}

bool json_number_portable(const struct json_number *number)
{
	return number->is_integer ? integer_fits(number) : real_fits(number);
}
