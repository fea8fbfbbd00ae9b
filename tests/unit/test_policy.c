/* Limits, policies, floors and the end frame's reader. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/level.h"
#include "core/limits.h"
#include "core/policy.h"
#include "core/report.h"

static void defaults_are_the_header_s(void **state)
{
	struct psb_limits limits;

	(void)state;
	psb_limits_init(&limits);
	limits_complete(&limits);
	assert_int_equal(limits.wall_ms, 30000);
	assert_int_equal(limits.cpu_ms, 30000);
	assert_int_equal(limits.memory_bytes, 256 << 20);
	assert_int_equal(limits.stdout_bytes, 1 << 20);
	assert_int_equal(limits.stderr_bytes, 1 << 20);
	assert_int_equal(limits.result_bytes, 16 << 20);
	assert_int_equal(limits.workspace_bytes, 64 << 20);
	assert_int_equal(limits.workspace_files, 1024);
	assert_int_equal(limits.open_files, 128);
	assert_int_equal(limits.processes, 64);
	assert_int_equal(limits.on_output_limit, PSB_OUTPUT_KILL);
}

static void every_limit_has_its_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < limit_spec_count; i++) {
		const struct limit_spec *spec = &limit_specs[i];
		struct psb_limits given;
		struct psb_limits out;
		struct psb_error err;

		psb_limits_init(&given);
		limits_set(&given, spec, spec->min);
		assert_int_equal(limits_read(&given, &out, NULL), 0);
		limits_set(&given, spec, spec->max);
		assert_int_equal(limits_read(&given, &out, NULL), 0);
		limits_set(&given, spec, spec->max + 1);
		assert_int_equal(limits_read(&given, &out, &err), PSB_E_POLICY);
		assert_non_null(strstr(err.message, spec->name));
		if (spec->min > 1) {
			limits_set(&given, spec, spec->min - 1);
			assert_int_equal(limits_read(&given, &out, NULL), PSB_E_POLICY);
		}
	}
}

static void calls_only_tighten(void **state)
{
	struct psb_limits wide;
	struct psb_limits wish;
	struct psb_limits out;

	(void)state;
	psb_limits_init(&wide);
	limits_complete(&wide);
	for (size_t i = 0; i < limit_spec_count; i++) {
		uint64_t bound = limits_get(&wide, &limit_specs[i]);

		psb_limits_init(&wish);
		limits_set(&wish, &limit_specs[i], bound + 1);
		assert_int_equal(limits_tighten_call(&wide, &wish, &out, NULL), PSB_E_POLICY);
		limits_set(&wish, &limit_specs[i], bound - 1);
		assert_int_equal(limits_tighten_call(&wide, &wish, &out, NULL), 0);
		assert_int_equal(limits_get(&out, &limit_specs[i]), bound - 1);
	}
	psb_limits_init(&wish);
	wish.wall_ms = 2000;
	assert_int_equal(limits_tighten_call(&wide, &wish, &out, NULL), 0);
	assert_int_equal(out.cpu_ms, 2000);
	wish.on_output_limit = PSB_OUTPUT_TRUNCATE;
	assert_int_equal(limits_tighten_call(&wide, &wish, &out, NULL), PSB_E_POLICY);
	wide.on_output_limit = PSB_OUTPUT_TRUNCATE;
	assert_int_equal(limits_tighten_call(&wide, &wish, &out, NULL), 0);
}

static void templates_are_valid(void **state)
{
	const char *name;
	size_t count = 0;

	(void)state;
	while (policy_template(count, &name)) {
		struct policy policy;

		assert_int_equal(policy_read(name, &policy, NULL), 0);
		assert_string_equal(policy.name, name);
		assert_int_equal(strlen(policy.sha256), 64);
		policy_free(&policy);
		count++;
	}
	assert_int_equal(count, 3);
}

static void templates_say_what_they_must(void **state)
{
	struct policy policy;

	(void)state;
	assert_int_equal(policy_read(NULL, &policy, NULL), 0);
	assert_string_equal(policy.name, "default");
	assert_int_equal(policy.import_mode, IMPORTS_DENY_LIST);
	assert_non_null(strstr(policy.import_list, "subprocess,_posixsubprocess,socket"));
	assert_non_null(strstr(policy.import_list, "urllib.request"));
	assert_string_equal(policy.require, "5");
	assert_false(policy.require_fixed);
	policy_free(&policy);
	assert_int_equal(policy_read("data-science", &policy, NULL), 0);
	assert_int_equal(policy.import_mode, IMPORTS_ALLOW_LIST);
	assert_non_null(strstr(policy.import_list, "pandas"));
	assert_null(strstr(policy.import_list, "subprocess"));
	policy_free(&policy);
	assert_int_equal(policy_read("strict", &policy, NULL), 0);
	assert_string_equal(policy.require, "6");
	assert_int_equal(policy.limits.wall_ms, 5000);
	policy_free(&policy);
}

static void bad_policies_are_refused_with_a_path(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{"nope", "no template \"nope\""},
		{"{", "policy: byte 1"},
		{"{} x", "text after"},
		{"{\"nam\":\"x\"}", "unknown key \"nam\""},
		{"{\"name\":1}", "policy.name: 1 is a number"},
		{"{\"name\":\"\"}", "policy.name"},
		{"{\"name\":\"a\",\"name\":\"b\"}", "a duplicate key"},
		{"{\"limits\":[]}", "policy.limits: [] is an array"},
		{"{\"limits\":{\"wall\":1}}", "policy.limits: unknown key \"wall\""},
		{"{\"limits\":{\"wall_ms\":1.5}}", "policy.limits.wall_ms: 1.5"},
		{"{\"limits\":{\"wall_ms\":0}}", "policy.limits.wall_ms: 0"},
		{"{\"limits\":{\"wall_ms\":-1}}", "policy.limits.wall_ms: -1"},
		{"{\"limits\":{\"open_files\":10}}", "limits.open_files: 10 is not between"},
		{"{\"limits\":{\"on_output_limit\":\"x\"}}", "\"kill\" or \"truncate\""},
		{"{\"imports\":{\"names\":[]}}", "\"mode\" is missing"},
		{"{\"imports\":{\"mode\":\"no\"}}", "policy.imports.mode"},
		{"{\"imports\":{\"mode\":\"deny\",\"names\":\"os\"}}", "policy.imports.names"},
		{"{\"imports\":{\"mode\":\"deny\",\"names\":[1]}}", "imports.names[0]: 1"},
		{"{\"imports\":{\"mode\":\"deny\",\"names\":[\"a\",\"b,c\"]}}", "names[1]"},
		{"{\"imports\":{\"mode\":\"deny\",\"names\":[\"a..b\"]}}", "no module name"},
		{"{\"imports\":{\"mode\":\"deny\",\"name\":[]}}", "policy.imports: unknown key"},
		{"{\"require\":0}", "policy.require: 0"},
		{"{\"require\":11}", "policy.require: 11"},
		{"{\"require\":\"walls\"}", "\"walls\" is neither"},
		{"{\"require\":true}", "policy.require: true is a boolean"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct policy policy;
		struct psb_error err = {.message = ""};

		assert_int_equal(policy_read(bad[i].text, &policy, &err), PSB_E_POLICY);
		if (!strstr(err.message, bad[i].says))
			print_message("%s: %s\n", bad[i].text, err.message);
		assert_non_null(strstr(err.message, bad[i].says));
	}
}

static void the_digest_is_of_the_meaning(void **state)
{
	struct policy a;
	struct policy b;
	struct policy c;

	(void)state;
	assert_int_equal(
		policy_read("{\"name\":\"x\",\"limits\":{\"wall_ms\":5,\"open_files\":20}}", &a,
			    NULL),
		0);
	assert_int_equal(policy_read(" {\"limits\": {\"open_files\":20, \"wall_ms\":5},"
				     "\"name\":\"\\u0078\"}",
				     &b, NULL),
			 0);
	assert_int_equal(
		policy_read("{\"name\":\"x\",\"limits\":{\"wall_ms\":6,\"open_files\":20}}", &c,
			    NULL),
		0);
	assert_string_equal(a.sha256, b.sha256);
	assert_string_not_equal(a.sha256, c.sha256);
	policy_free(&a);
	policy_free(&b);
	policy_free(&c);
}

static void floors_count_only_walls(void **state)
{
	struct plan plan = {.engine = "x", .level = 5};

	(void)state;
	plan.controls[CONTROL_network].by = BY_KERNEL;
	plan.controls[CONTROL_imports].by = BY_ADVISORY;
	plan.controls[CONTROL_memory].by = BY_RUNTIME;
	plan.controls[CONTROL_syscalls].by = BY_HYPERVISOR;
	assert_int_equal(floor_met(&plan, "5", NULL), 0);
	assert_int_equal(floor_met(&plan, "6", NULL), PSB_E_UNSUPPORTED);
	assert_int_equal(floor_met(&plan, "10", NULL), PSB_E_UNSUPPORTED);
	assert_int_equal(floor_met(&plan, "network", NULL), 0);
	assert_int_equal(floor_met(&plan, "syscalls", NULL), 0);
	assert_int_equal(floor_met(&plan, "imports", NULL), PSB_E_UNSUPPORTED);
	assert_int_equal(floor_met(&plan, "memory", NULL), PSB_E_UNSUPPORTED);
	assert_int_equal(floor_met(&plan, "devices", NULL), PSB_E_UNSUPPORTED);
	assert_int_equal(floor_check("0", NULL), PSB_E_POLICY);
	assert_int_equal(floor_check("11", NULL), PSB_E_POLICY);
	assert_int_equal(floor_check("cpu", NULL), 0);
}

static int read_report(struct guest_report *report, const char *text)
{
	memset(report, 0, sizeof(*report));
	return report_read(report, (const uint8_t *)text, strlen(text));
}

static void reads_an_end_frame(void **state)
{
	struct guest_report report;

	(void)state;
	assert_int_equal(
		read_report(
			&report,
			"{\"status\":\"exit\",\"exit_code\":300,\"error\":{\"type\":\"T\","
			"\"message\":\"m\","
			"\"traceback\":\"tb\",\"line\":7},\"limits_hit\":[\"memory\",\"evil\",3],"
			"\"denied_imports\":[\"socket\"],\"has_result\":true,\"more\":[1]}"),
		0);
	assert_true(report.present && report.has_result);
	assert_int_equal(report.status, PSB_EXIT);
	assert_int_equal(report.exit_code, 300 & 0xff);
	assert_string_equal(report.error_type, "T");
	assert_string_equal(report.traceback, "tb");
	assert_int_equal(report.error_line, 7);
	assert_int_equal(report.limits_hit, 1u << LIMIT_memory);
	assert_string_equal(report.denied_imports[0], "socket");
	report_free(&report);
}

static void malformed_end_frames_are_none(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"status\":\"timeout\"}",
		"{\"status\":\"unavailable\"}",
		"{\"status\":1}",
		"{\"status\":\"ok\",\"error\":\"x\"}",
		"{\"status\":\"ok\",\"error\":{\"type\":1}}",
		"{\"status\":\"ok\",\"error\":{\"type\":\"T\",\"line\":-1}}",
		"{\"status\":\"ok\",\"exit_code\":\"1\"}",
		"{\"status\":\"ok\",\"limits_hit\":{}}",
		"{\"status\":\"ok\",\"denied_imports\":[1]}",
		"{\"status\":\"ok\",\"status\":\"error\"}",
		"{\"status\":\"ok\"",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct guest_report report;

		assert_int_equal(read_report(&report, bad[i]), PSB_E_INVALID);
		assert_false(report.present);
		assert_null(report.error_type);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_header_s),
		cmocka_unit_test(every_limit_has_its_range),
		cmocka_unit_test(calls_only_tighten),
		cmocka_unit_test(templates_are_valid),
		cmocka_unit_test(templates_say_what_they_must),
		cmocka_unit_test(bad_policies_are_refused_with_a_path),
		cmocka_unit_test(the_digest_is_of_the_meaning),
		cmocka_unit_test(floors_count_only_walls),
		cmocka_unit_test(reads_an_end_frame),
		cmocka_unit_test(malformed_end_frames_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
