/*
 * From the caller's request to the bytes that an engine sends. All checks of a call are here: what
 * passes cannot fail later for a reason that the caller could have known. The caller is trusted,
 * but may hand on what it got from others: texts are checked as UTF-8, JSON as JSON.
 */
#include "core/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_check.h"
#include "core/json_write.h"
#include "core/options.h"
#include "core/utf8.h"

#define MAX_OPTIONS_BYTES (1u << 20)
#define MAX_ENV_ENTRIES 256u
#define MAX_TAG_BYTES 256u

void psb_request_init(struct psb_request *request)
{
	memset(request, 0, sizeof(*request));
	request->size = sizeof(*request);
}

static int check_inputs(const struct psb_request *request, struct psb_error *err)
{
	struct json_fault fault = {.reason = ""};
	int error;

	if (!request->inputs || request->inputs_len == 0)
		return 0;
	if (request->inputs_len > REQUEST_MAX_INPUTS_BYTES)
		return psb_fail(err, PSB_E_TOO_LARGE, 0,
				"inputs: %zu bytes; at most %u may be "
				"given",
				request->inputs_len, REQUEST_MAX_INPUTS_BYTES);
	error = json_check((const uint8_t *)request->inputs, request->inputs_len, JSON_OBJECT_ONLY,
			   &fault);
	if (error)
		return psb_fail(err, error, 0, "inputs: byte %zu: %s; pass one JSON object",
				fault.offset, fault.reason);
	return 0;
}

static int check_env(const char *const *env, struct psb_error *err)
{
	for (size_t i = 0; env && env[i]; i++) {
		size_t key_len = strcspn(env[i], "=");

		if (i == MAX_ENV_ENTRIES)
			return psb_fail(err, PSB_E_TOO_LARGE, 0, "env: more than %u entries",
					MAX_ENV_ENTRIES);
		if (key_len == 0 || env[i][key_len] != '=')
			return psb_fail(err, PSB_E_INVALID, 0, "env: \"%s\" is not KEY=VALUE",
					env[i]);
		if (!utf8_valid((const uint8_t *)env[i], strlen(env[i])))
			return psb_fail(err, PSB_E_INVALID, 0, "env: entry %zu is not valid UTF-8",
					i);
		for (size_t j = 0; j < i; j++) {
			if (strncmp(env[i], env[j], key_len + 1) == 0)
				return psb_fail(err, PSB_E_INVALID, 0,
						"env: \"%.*s\" is given "
						"twice",
						(int)key_len, env[i]);
		}
	}
	return 0;
}

static int check_request(const struct psb_request *request, struct psb_error *err)
{
	int error = 0;

	if (!request->source && request->source_len > 0)
		return psb_fail(err, PSB_E_INVALID, 0, "source: NULL with %zu bytes",
				request->source_len);
	if (request->source_len > REQUEST_MAX_SOURCE_BYTES)
		return psb_fail(err, PSB_E_TOO_LARGE, 0,
				"source: %zu bytes; at most %u may be "
				"given",
				request->source_len, REQUEST_MAX_SOURCE_BYTES);
	if (request->filename)
		error = options_check_text("filename", request->filename, 255, err);
	if (!error && request->tag)
		error = options_check_text("tag", request->tag, MAX_TAG_BYTES, err);
	if (!error)
		error = check_inputs(request, err);
	if (!error)
		error = check_env(request->env, err);
	return error;
}

int job_prepare(struct psb_sandbox *sandbox)
{
	static const char *const modes[] = {"deny", "allow", "off"};
	const struct policy *policy = &sandbox->policy;
	struct json_writer writer;

	buffer_init(&sandbox->imports_text, MAX_OPTIONS_BYTES);
	json_writer_init(&writer, &sandbox->imports_text);
	json_open(&writer, '{');
	json_key(&writer, "mode");
	json_put_text(&writer, modes[policy->import_mode]);
	json_key(&writer, "names");
	json_put_list(&writer, policy->import_list);
	json_key(&writer, "policy");
	json_put_text(&writer, policy->name);
	json_close(&writer, '}');
	return writer.error;
}

/* The options object of src/ipc/request.h. */
static int write_options(const struct psb_sandbox *sandbox, const struct job *job,
			 struct buffer *out)
{
	const struct psb_request *request = &job->request;
	struct json_writer writer;

	json_writer_init(&writer, out);
	json_open(&writer, '{');
	json_key(&writer, "filename");
	json_put_text(&writer, job->filename);
	json_key(&writer, "keep_source");
	json_put_bool(&writer, request->filename != NULL);
	json_key(&writer, "env");
	policy_write_env(&writer, &sandbox->policy, request->env);
	json_key(&writer, "imports");
	json_put_raw(&writer, buffer_text(&sandbox->imports_text), sandbox->imports_text.len);
	json_close(&writer, '}');
	return writer.error;
}

static int encode(const struct psb_sandbox *sandbox, struct job *job,
		  const struct input_files *files, struct psb_error *err)
{
	struct request_parts parts = {
		.source = job->request.source,
		.source_len = job->request.source_len,
		.inputs = job->request.inputs,
		.inputs_len = job->request.inputs ? job->request.inputs_len : 0,
		.result_bytes = job->limits.result_bytes,
		.files = files->items,
		.file_count = files->count,
	};
	size_t size;
	int error;

	memcpy(parts.token, job->token, sizeof(parts.token));
	buffer_limit(&job->options, MAX_OPTIONS_BYTES);
	error = write_options(sandbox, job, &job->options);
	if (error)
		return psb_fail(err, error, 0, "request: its env and options are too large");
	parts.options = buffer_text(&job->options);
	parts.options_len = job->options.len;
	size = request_size(&parts, err);
	if (size == 0)
		return PSB_E_TOO_LARGE;
	buffer_limit(&job->bytes, size);
	if (buffer_reserve(&job->bytes, size))
		return psb_fail(err, PSB_E_MEMORY, 0, "request: no memory for %zu bytes", size);
	request_write(&parts, job->bytes.data, size);
	job->bytes.len = size;
	return 0;
}

static int draw_names(struct job *job, struct psb_error *err)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[sizeof(job->token) + 16];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return psb_fail(err, PSB_E_SYSTEM, errno, "request: getrandom");
	memcpy(job->token, bytes, sizeof(job->token));
	for (size_t i = 0; i < 16; i++) {
		job->id[2 * i] = digits[bytes[sizeof(job->token) + i] >> 4];
		job->id[2 * i + 1] = digits[bytes[sizeof(job->token) + i] & 15];
	}
	return 0;
}

static int open_output(struct job *job, struct psb_error *err)
{
	const char *path = job->request.output_dir;

	if (!path)
		return 0;
	job->output_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (job->output_fd < 0)
		return psb_fail(err, PSB_E_NOT_FOUND, errno,
				"output: \"%s\" is no directory that can be opened; make it first",
				path);
	if (faccessat(job->output_fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
		return psb_fail(err, PSB_E_NOT_FOUND, errno,
				"output: \"%s\" cannot be written: %s; choose another", path,
				strerror(errno));
	return 0;
}

static int fill(const struct psb_sandbox *sandbox, const struct psb_request *request,
		struct job *job, struct psb_error *err)
{
	struct input_files files = {.count = 0};
	struct psb_limits wanted;
	int error;

	error = options_copy("struct psb_request", request, request->size, &job->request,
			     sizeof(job->request), err);
	if (!error)
		error = limits_read(job->request.limits, &wanted, err);
	if (!error)
		error = policy_tighten(&sandbox->policy, &sandbox->limits, &wanted, &job->limits,
				       err);
	if (!error)
		error = check_request(&job->request, err);
	if (!error)
		(void)snprintf(job->filename, sizeof(job->filename), "%s",
			       job->request.filename ? job->request.filename : "main.py");
	if (!error)
		error = policy_check_call(&sandbox->policy, &job->request, err);
	if (!error)
		error = open_output(job, err);
	if (!error)
		error = draw_names(job, err);
	if (!error)
		error = files_load(&job->request, &job->limits, &files, err);
	if (!error)
		error = policy_check_inputs(&sandbox->policy, files_bytes(&files), err);
	if (!error)
		error = encode(sandbox, job, &files, err);
	if (!error)
		error = audit_code_make(sandbox->audit, job->request.source,
					job->request.source_len, &job->code, err);
	files_free(&files);
	return error;
}

int job_build(const struct psb_sandbox *sandbox, const struct psb_request *request, struct job *job,
	      struct psb_error *err)
{
	job->policy = &sandbox->policy;
	job->output_fd = -1;
	psb_request_init(&job->request);
	return fill(sandbox, request, job, err);
}

/* The source stands behind the header of the encoded request. */
struct files_workspace job_workspace(const struct job *job, int fd)
{
	return (struct files_workspace){
		.fd = fd,
		.own_name = job->request.filename ? job->filename : NULL,
		.own_text = job->bytes.data + REQUEST_HEADER_BYTES,
		.own_len = job->request.source_len,
	};
}

void job_clear(struct job *job)
{
	audit_code_free(&job->code);
	close_fd(&job->output_fd);
	buffer_clear(&job->options);
	buffer_clear(&job->bytes);
	*job = (struct job){.options = job->options, .bytes = job->bytes, .output_fd = -1};
}

void job_free(struct job *job)
{
	job_clear(job);
	buffer_free(&job->options);
	buffer_free(&job->bytes);
}
