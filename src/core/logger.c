/*
 * The log callback's queue. Messages may quote bytes that a guest or a caller chose: control
 * characters are replaced and the text is cut between characters, so that one message is one line.
 * The queue is bounded; what finds no room is counted, and the count is said.
 */
#include "core/logger.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

#define MAX_MESSAGE_BYTES 800u
#define LEVEL_PROGRESS 0 /* no enum psb_log_level */

struct log_line {
	STAILQ_ENTRY(log_line) link;
	int level;
	char text[];
};

int logger_init(struct logger *logger)
{
	*logger = (struct logger){.say = NULL};
	STAILQ_INIT(&logger->pending);
	atomic_init(&logger->pending_count, 0);
	return pthread_mutex_init(&logger->lock, NULL) == 0 ? 0 : PSB_E_MEMORY;
}

static void free_lines(struct log_lines *lines)
{
	struct log_line *line;

	while ((line = STAILQ_FIRST(lines))) {
		STAILQ_REMOVE_HEAD(lines, link);
		free(line);
	}
}

void logger_free(struct logger *logger)
{
	free_lines(&logger->pending);
}

static size_t clean(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	}
	len = utf8_valid_prefix((const uint8_t *)text, len);
	text[len] = '\0';
	return len;
}

static void enqueue(struct logger *logger, int level, const char *text, size_t len)
{
	struct log_line *line = malloc(sizeof(*line) + len + 1);

	if (line) {
		line->level = level;
		memcpy(line->text, text, len + 1);
	}
	(void)pthread_mutex_lock(&logger->lock);
	if (line && atomic_load(&logger->pending_count) < LOGGER_MAX_PENDING) {
		STAILQ_INSERT_TAIL(&logger->pending, line, link);
		atomic_fetch_add(&logger->pending_count, 1);
		line = NULL;
	} else {
		logger->dropped++;
	}
	(void)pthread_mutex_unlock(&logger->lock);
	free(line);
}

void logger_say(struct logger *logger, enum psb_log_level level, const char *format, ...)
{
	char text[MAX_MESSAGE_BYTES + 1];
	va_list args;
	int n;

	if (!logger || !logger->say || (uint32_t)level > logger->level)
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		return;
	enqueue(logger, (int)level, text, clean(text, strnlen(text, MAX_MESSAGE_BYTES)));
}

void logger_progress(struct logger *logger, const char *engine, const char *text)
{
	char line[MAX_MESSAGE_BYTES + 1];

	logger_say(logger, PSB_LOG_INFO, "engine %s: %s", engine, text);
	if (!logger->progress)
		return;
	(void)snprintf(line, sizeof(line), "%s", text);
	enqueue(logger, LEVEL_PROGRESS, line, clean(line, strlen(line)));
}

static void hand_over(const struct logger *logger, const struct log_line *line)
{
	if (line->level == LEVEL_PROGRESS)
		logger->progress(logger->progress_context, line->text);
	else
		logger->say(logger->context, line->level, line->text);
}

static void say_dropped(const struct logger *logger, uint64_t dropped)
{
	char text[80];

	if (dropped == 0 || !logger->say)
		return;
	(void)snprintf(text, sizeof(text), "%" PRIu64 " messages were dropped: too many at once",
		       dropped);
	logger->say(logger->context, PSB_LOG_WARNING, text);
}

void logger_flush(struct logger *logger)
{
	struct log_lines lines = STAILQ_HEAD_INITIALIZER(lines);
	const struct log_line *line;
	uint64_t dropped;

	if (atomic_load_explicit(&logger->pending_count, memory_order_relaxed) == 0)
		return;
	(void)pthread_mutex_lock(&logger->lock);
	STAILQ_CONCAT(&lines, &logger->pending);
	atomic_store(&logger->pending_count, 0);
	dropped = logger->dropped;
	logger->dropped = 0;
	(void)pthread_mutex_unlock(&logger->lock);
	STAILQ_FOREACH(line, &lines, link)
	hand_over(logger, line);
	say_dropped(logger, dropped);
	free_lines(&lines);
}
