/*
 * The log callback. Messages may quote bytes that a guest or a caller chose: control characters
 * are replaced and the text is cut between characters, so that one message is one line.
 */
#include "core/logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

#define MAX_MESSAGE_BYTES 800u

void logger_say(const struct logger *logger, enum psb_log_level level, const char *format, ...)
{
	char message[MAX_MESSAGE_BYTES + 1];
	va_list args;
	size_t len;

	if (!logger || !logger->say || (uint32_t)level > logger->level)
		return;
	va_start(args, format);
	if (vsnprintf(message, sizeof(message), format, args) < 0)
		message[0] = '\0';
	va_end(args);
	len = strnlen(message, MAX_MESSAGE_BYTES);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f)
			message[i] = '?';
	}
	message[utf8_valid_prefix((const uint8_t *)message, len)] = '\0';
	logger->say(logger->context, (int)level, message);
}
