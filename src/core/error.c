/*
 * Errors and names: fills struct psb_error, and the static tables behind psb_error_name(),
 * psb_error_text(), psb_status_name() and the command's exit codes.
 *
 * Messages may quote bytes that a caller or a guest chose, so control bytes are replaced and the
 * text is cut at a character boundary: a message can be printed or put into JSON as it stands.
 */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

static void message_clean(char *message, size_t capacity)
{
	size_t len = strnlen(message, capacity - 1);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f)
			message[i] = '?';
	}
	len = utf8_valid_prefix((const uint8_t *)message, len);
	message[len] = '\0';
}

static void append_reason(struct psb_error *err, const char *reason)
{
	size_t len = strlen(err->message);

	if (!strstr(err->message, reason))
		(void)snprintf(err->message + len, sizeof(err->message) - len, ": %s", reason);
}

/* Two functions have this name: one returns the text, the other fills the buffer. */
static const char *reason_of(int sys_errno, char *room, size_t size)
{
#ifdef __GLIBC__
	return strerror_r(sys_errno, room, size);
#else
	return strerror_r(sys_errno, room, size) == 0 ? room : "unknown error";
#endif
}

int psb_fail(struct psb_error *err, int code, int sys_errno, const char *format, ...)
{
	char reason[96];
	va_list args;
	int written;

	if (!err)
		return code;
	err->code = code;
	err->sys_errno = sys_errno;
	va_start(args, format);
	written = vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	if (written < 0)
		err->message[0] = '\0';
	if (sys_errno != 0 && written >= 0)
		append_reason(err, reason_of(sys_errno, reason, sizeof(reason)));
	message_clean(err->message, sizeof(err->message));
	return code;
}

const char *psb_error_name(int code)
{
	switch (code) {
	case 0: return "PSB_E_NONE";
#define NAME(name, number, text)                                                                   \
	case PSB_E_##name: return "PSB_E_" #name;
		PSB_ERROR_MAP(NAME)
#undef NAME
	default: return "PSB_E_UNKNOWN";
	}
}

const char *psb_error_text(int code)
{
	switch (code) {
	case 0: return "success";
#define TEXT(name, number, text)                                                                   \
	case PSB_E_##name: return text;
		PSB_ERROR_MAP(TEXT)
#undef TEXT
	default: return "an unknown error";
	}
}

#define QUOTE_(x) #x
#define QUOTE(x) QUOTE_(x)

const char *psb_version(void)
{
	return QUOTE(PSB_VERSION_MAJOR) "." QUOTE(PSB_VERSION_MINOR) "." QUOTE(PSB_VERSION_PATCH);
}

/* The command's exit codes of the contract; EXIT is refined by the guest's own code. */
static const struct {
	const char *name;
	int exit_code;
} statuses[PSB_STATUS_COUNT] = {
	[PSB_OK] = {"ok", 0},
	[PSB_ERROR] = {"error", 1},
	[PSB_EXIT] = {"exit", 64},
	[PSB_TIMEOUT] = {"timeout", 124},
	[PSB_CPU_LIMIT] = {"cpu_limit", 124},
	[PSB_MEMORY_LIMIT] = {"memory_limit", 137},
	[PSB_OUTPUT_LIMIT] = {"output_limit", 66},
	[PSB_RESULT_LIMIT] = {"result_limit", 66},
	[PSB_PROCESS_LIMIT] = {"process_limit", 66},
	[PSB_DISK_LIMIT] = {"disk_limit", 66},
	[PSB_DENIED] = {"denied", 65},
	[PSB_CRASH] = {"crash", 70},
	[PSB_CANCELLED] = {"cancelled", 130},
	[PSB_UNKNOWN] = {"unknown", 126},
	[PSB_UNAVAILABLE] = {"unavailable", 125},
};

const char *psb_status_name(int status)
{
	return status >= 0 && status < PSB_STATUS_COUNT ? statuses[status].name : NULL;
}

int psb_status_exit_code(int status, int guest_exit_code)
{
	if (status < 0 || status >= PSB_STATUS_COUNT)
		return statuses[PSB_UNKNOWN].exit_code;
	if (status == PSB_EXIT && guest_exit_code >= 1 && guest_exit_code <= 63)
		return guest_exit_code;
	return statuses[status].exit_code;
}
