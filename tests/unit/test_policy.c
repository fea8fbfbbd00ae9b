/* Limits, policies and the end frame's reader. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

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
	assert_int_equal(count, 4);
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
	assert_int_equal(policy.floor.level, 0);
	assert_int_equal(policy.files.max_inputs, POLICY_MAX_INPUTS);
	assert_true(policy.files.output && policy.environment.any);
	policy_free(&policy);
	assert_int_equal(policy_read("data-science", &policy, NULL), 0);
	assert_int_equal(policy.import_mode, IMPORTS_ALLOW_LIST);
	assert_non_null(strstr(policy.import_list, "pandas"));
	assert_null(strstr(policy.import_list, "subprocess"));
	policy_free(&policy);
	assert_int_equal(policy_read("strict", &policy, NULL), 0);
	assert_int_equal(policy.floor.level, 6);
	assert_int_equal(policy.limits.wall_ms, 5000);
	assert_int_equal(policy.files.max_inputs, 16);
	assert_false(policy.environment.any);
	assert_int_equal(policy.environment.allow.count, 0);
	policy_free(&policy);
	assert_int_equal(policy_read("documents", &policy, NULL), 0);
	assert_int_equal(policy.import_mode, IMPORTS_ALLOW_LIST);
	assert_non_null(strstr(policy.import_list, "openpyxl"));
	assert_int_equal(policy.environment.allow.count, 3);
	policy_free(&policy);
}

static const struct {
	const char *text;
	const char *says;
} bad_policies[] = {
	{"nope", "no template \"nope\""},
	{"{", "policy: byte 1"},
	{"{} x", "text after"},
	{"{\"nam\":\"x\"}", "unknown key \"nam\""},
	{"{\"name\":1}", "policy.name: 1 is a number"},
	{"{\"name\":\"\"}", "policy.name"},
	{"{\"name\":\"a\",\"name\":\"b\"}", "policy.name: byte 12: a duplicate key; keep one"},
	{"{\"limits\":{\"wall_ms\":1,\"cpu_ms\":10,\"wall\\u005fms\":2}}",
	 "policy.limits.wall\\u005fms: byte 35: a duplicate key"},
	{"{\"require\":[6,{\"a\":1,\"a\":2}]}", "policy.require[1].a: byte 21: a dup"},
	{"{\"template\":\"lenient\"}", "policy.template: there is no template \"lenient\""},
	{"{\"template\":1}", "policy.template: 1 is a number"},
	{"[\"default\"]", "there is no template"},
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
	{"{\"imports\":{\"mode\":\"deny\"}}", "\"names\" is missing for mode deny"},
	{"{\"imports\":{\"mode\":\"allow\"}}", "\"names\" is missing for mode allow"},
	{"{\"imports\":{\"mode\":\"off\",\"names\":[\"os\"]}}", "would have no effect"},
	{"{\"imports\":{\"mode\":\"deny\",\"names\":[\"os\",\"os\"]}}",
	 "names[1]: \"os\" is named twice"},
	{"{\"files\":1}", "policy.files: 1 is a number"},
	{"{\"files\":{\"inputs\":1}}", "policy.files: unknown key \"inputs\""},
	{"{\"files\":{\"max_inputs\":257}}", "from 0 to 256"},
	{"{\"files\":{\"max_inputs\":-1}}", "policy.files.max_inputs: -1"},
	{"{\"files\":{\"max_input_bytes\":0}}", "policy.files.max_input_bytes: 0"},
	{"{\"files\":{\"output\":\"yes\"}}", "policy.files.output"},
	{"{\"files\":{\"max_inputs\":0,\"max_input_bytes\":9}}", "without effect"},
	{"{\"files\":{\"max_input_bytes\":9000},\"limits\":{\"workspace_bytes\":8192}}",
	 "9000 is over limits.workspace_bytes (8192)"},
	{"{\"environment\":[]}", "policy.environment: [] is an array"},
	{"{\"environment\":{\"deny\":[]}}", "policy.environment: unknown key"},
	{"{\"environment\":{\"allow\":\"all\"}}", "\"any\" or an array"},
	{"{\"environment\":{\"allow\":[\"A=B\"]}}", "allow[0]: \"A=B\" is no variable"},
	{"{\"environment\":{\"allow\":[\"*\"]}}", "\"*\" is no variable"},
	{"{\"environment\":{\"allow\":[\"A\",\"A\"]}}", "allow[1]: \"A\" is named twice"},
	{"{\"environment\":{\"set\":{\"A\":1}}}", "policy.environment.set.A: 1"},
	{"{\"environment\":{\"set\":{\"1A\":\"x\"}}}", "\"1A\" is no variable"},
	{"{\"environment\":{\"set\":{\"A*\":\"x\"}}}", "\"A*\" is no variable"},
	{"{\"environment\":{\"set\":{\"A\":\"a\\nb\"}}}", "control characters"},
	{"{\"environment\":{\"allow\":[\"A\"],\"set\":{\"A\":\"x\"}}}", "in one of them"},
	{"{\"network\":\"full\"}", "policy.network: \"full\" is a string; \"none\""},
	{"{\"network\":{}}", "policy.network"},
	{"{\"require\":0}", "policy.require: 0"},
	{"{\"require\":11}", "policy.require: 11"},
	{"{\"require\":\"walls\"}", "\"walls\" is neither"},
	{"{\"require\":true}", "policy.require: true is a boolean"},
	{"{\"require\":6.5}", "policy.require: 6.5"},
	{"{\"require\":\"6\"}", "policy.require: \"6\" is neither"},
	{"{\"require\":[]}", "an empty list requires nothing"},
	{"{\"require\":[\"memory\",\"memory\"]}", "require[1]: \"memory\" is named twice"},
	{"{\"require\":[6,7]}", "policy.require[1]: states two levels, 6 and 7"},
	{"{\"require\":[[6]]}", "policy.require[0]: [6] is an array"},
	{"{\"require\":\"imports\"}", "can never be required"},
};

static void bad_policies_are_refused_with_a_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_policies); i++) {
		struct policy policy;
		struct psb_error err = {.message = ""};

		assert_int_equal(policy_read(bad_policies[i].text, &policy, &err), PSB_E_POLICY);
		if (!strstr(err.message, bad_policies[i].says))
			print_message("%s: %s\n", bad_policies[i].text, err.message);
		assert_non_null(strstr(err.message, bad_policies[i].says));
	}
}

/* What a policy leaves open is its template's; what it states replaces that as a whole. */
static void a_policy_begins_with_its_template(void **state)
{
	struct policy policy;

	(void)state;
	assert_int_equal(policy_read("{}", &policy, NULL), 0);
	assert_string_equal(policy.name, "custom");
	assert_non_null(strstr(policy.import_list, "subprocess"));
	assert_int_equal(policy.stated, 0);
	policy_free(&policy);
	assert_int_equal(policy_read("{\"template\":\"strict\",\"limits\":{\"wall_ms\":9000},"
				     "\"imports\":{\"mode\":\"deny\",\"names\":[\"os\"]}}",
				     &policy, NULL),
			 0);
	assert_int_equal(policy.limits.wall_ms, 9000);
	assert_int_equal(policy.limits.cpu_ms, 5000);
	assert_string_equal(policy.import_list, "os");
	assert_int_equal(policy.floor.level, 6);
	assert_int_equal(policy.stated, PART_BIT(0) | PART_BIT(PART_imports));
	policy_free(&policy);
	assert_int_equal(policy_read("{\"imports\":{\"mode\":\"off\"}}", &policy, NULL), 0);
	assert_string_equal(policy.import_list, "");
	policy_free(&policy);
	assert_int_equal(
		policy_read("{\"imports\":{\"names\":[],\"mode\":\"off\"}}", &policy, NULL), 0);
	policy_free(&policy);
}

static int try_call(const struct policy *policy, const char *const *env, size_t files,
		    const char *output, struct psb_error *err)
{
	struct psb_request request;

	psb_request_init(&request);
	request.env = env;
	request.file_count = files;
	request.output_dir = output;
	return policy_check_call(policy, &request, err);
}

static void a_call_is_held_to_the_rules(void **state)
{
	static const char *const good[] = {"LANG=x", "LC_ALL=y", "LC_=", NULL};
	static const char *const foreign[] = {"LANG=x", "LANGUAGE=y", NULL};
	static const char *const fixed[] = {"TZ=elsewhere", NULL};
	struct psb_error err = {.message = ""};
	struct policy policy;

	(void)state;
	assert_int_equal(
		policy_read("{\"name\":\"p\",\"files\":{\"max_inputs\":2,\"max_input_bytes\":9,"
			    "\"output\":false},\"environment\":{\"allow\":[\"LANG\",\"LC_*\"],"
			    "\"set\":{\"TZ\":\"UTC\",\"EMPTY\":\"\"}}}",
			    &policy, NULL),
		0);
	assert_int_equal(try_call(&policy, good, 2, NULL, NULL), 0);
	assert_int_equal(try_call(&policy, NULL, 0, NULL, NULL), 0);
	assert_int_equal(try_call(&policy, foreign, 0, NULL, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "\"LANGUAGE\" is not among"));
	assert_int_equal(try_call(&policy, fixed, 0, NULL, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "\"TZ\" is fixed by policy \"p\""));
	assert_int_equal(try_call(&policy, NULL, 3, NULL, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "files.max_inputs"));
	assert_int_equal(try_call(&policy, NULL, 0, "out", &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "files.output"));
	assert_int_equal(policy_check_inputs(&policy, 9, NULL), 0);
	assert_int_equal(policy_check_inputs(&policy, 10, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "10 bytes together"));
	policy_free(&policy);
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

static void different_rules_have_different_digests(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"require\":5}",
		"{\"require\":\"memory\"}",
		"{\"require\":[\"memory\",5]}",
		"{\"limits\":{\"wall_ms\":30000}}",
		"{\"limits\":{\"on_output_limit\":\"kill\"}}",
		"{\"limits\":{\"on_output_limit\":\"truncate\"}}",
		"{\"files\":{\"max_inputs\":3}}",
		"{\"files\":{\"max_input_bytes\":3}}",
		"{\"files\":{\"output\":false}}",
		"{\"environment\":{\"allow\":[]}}",
		"{\"environment\":{\"allow\":[\"A\"]}}",
		"{\"environment\":{\"set\":{\"A\":\"1\"}}}",
		"{\"environment\":{\"set\":{\"A\":\"2\"}}}",
		"{\"imports\":{\"mode\":\"off\"}}",
		"{\"imports\":{\"mode\":\"deny\",\"names\":[]}}",
		"{\"name\":\"other\"}",
	};
	char seen[COUNT(texts)][65];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct policy policy;

		assert_int_equal(policy_read(texts[i], &policy, NULL), 0);
		memcpy(seen[i], policy.sha256, sizeof(seen[i]));
		policy_free(&policy);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(seen[i], seen[j]);
	}
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
		cmocka_unit_test(a_policy_begins_with_its_template),
		cmocka_unit_test(a_call_is_held_to_the_rules),
		cmocka_unit_test(the_digest_is_of_the_meaning),
		cmocka_unit_test(different_rules_have_different_digests),
		cmocka_unit_test(reads_an_end_frame),
		cmocka_unit_test(malformed_end_frames_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
