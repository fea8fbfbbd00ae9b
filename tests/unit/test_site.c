/* Site policies: what they bind, what is refused, and which files count at all. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/policy.h"
#include "core/site.h"

static char dir[] = "/tmp/psb-site-XXXXXX";
static char own[64];        /* root's, when the tests run as root */
static const char *machine; /* the machine's site: a place where there is none, or `own` */
static char more[64];
static struct policy policy;
static struct psb_limits limits;
static struct psb_options options;
static struct psb_error err;

static void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(own, sizeof(own), "%s/site.json", dir);
	(void)snprintf(more, sizeof(more), "%s/more.json", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int setup(void **state)
{
	(void)state;
	machine = "/no-such-directory/site.json";
	psb_options_init(&options);
	psb_limits_init(&options.limits);
	err.message[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	policy_free(&policy);
	(void)unlink(own);
	(void)unlink(more);
	return chmod(dir, 0700);
}

/* With `site` as an additional site policy, which an ordinary user's test may own. */
static int open_with(const char *text, const char *site)
{
	policy_free(&policy);
	put_file(more, site, 0644);
	options.policy = text;
	options.site_policy = more;
	return policy_open_with(&options, machine, &policy, &limits, &err);
}

static void refused(const char *text, const char *site, const char *says)
{
	assert_int_equal(open_with(text, site), PSB_E_POLICY);
	if (!strstr(err.message, says))
		print_message("%s: %s\n", site, err.message);
	assert_non_null(strstr(err.message, says));
}

static void without_a_site_everything_is_the_caller_s(void **state)
{
	(void)state;
	options.limits.wall_ms = 70000;
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err), 0);
	assert_int_equal(limits.wall_ms, 70000);
	assert_int_equal(limits.cpu_ms, 70000);
	assert_int_equal(limits.memory_bytes, 256 << 20);
	assert_int_equal(policy.floor.level, 5);
	assert_int_equal(policy.site.count, 0);
}

static void defaults_are_lowered_to_maxima(void **state)
{
	(void)state;
	assert_int_equal(
		open_with(NULL, "{\"maxima\":{\"wall_ms\":10000,\"memory_bytes\":99999999}}"), 0);
	assert_int_equal(limits.wall_ms, 10000);
	assert_int_equal(limits.cpu_ms, 10000);
	assert_int_equal(limits.memory_bytes, 99999999);
	assert_int_equal(limits.stdout_bytes, 1 << 20);
	assert_int_equal(policy.site.lowered, PART_BIT(0) | PART_BIT(2));
	/* A library's template is lowered too: the caller chose none of its numbers. */
	assert_int_equal(open_with("strict", "{\"maxima\":{\"wall_ms\":1000}}"), 0);
	assert_int_equal(limits.wall_ms, 1000);
	assert_int_equal(limits.cpu_ms, 5000);
}

static void wishes_over_maxima_are_refused_with_the_message(void **state)
{
	static const char site[] = "{\"message\":\"ask ops\",\"maxima\":{\"wall_ms\":10000}}";

	(void)state;
	refused("{\"limits\":{\"wall_ms\":10001}}", site,
		"policy.limits.wall_ms: 10001 is over the site's maximum of 10000");
	assert_non_null(strstr(err.message, "more.json: ask ops"));
	assert_int_equal(open_with("{\"limits\":{\"wall_ms\":10000}}", site), 0);
	options.limits.wall_ms = 10001;
	refused(NULL, site, "limits.wall_ms: 10001 is over the site's maximum");
	assert_non_null(strstr(err.message, "ask ops"));
	options.limits.wall_ms = 9999;
	assert_int_equal(open_with(NULL, site), 0);
	assert_int_equal(limits.wall_ms, 9999);
	assert_int_equal(policy.site.lowered, 0);
}

static void the_default_cpu_follows_the_lowered_wall(void **state)
{
	(void)state;
	assert_int_equal(open_with(NULL, "{\"maxima\":{\"cpu_ms\":50}}"), 0);
	assert_int_equal(limits.wall_ms, 30000);
	assert_int_equal(limits.cpu_ms, 50);
	assert_int_equal(open_with(NULL, "{\"maxima\":{\"wall_ms\":3}}"), 0);
	assert_int_equal(limits.cpu_ms, 10);
}

static void locked_members_have_one_value(void **state)
{
	static const char imports[] = "{\"message\":\"M\",\"locked\":{\"imports\":{\"mode\":"
				      "\"allow\",\"names\":[\"os\"]}}}";
	static const char files[] = "{\"locked\":{\"files\":{\"max_inputs\":1}}}";
	static const char env[] = "{\"locked\":{\"environment\":{\"allow\":[\"A\"],"
				  "\"set\":{\"B\":\"1\"}}}}";

	(void)state;
	assert_int_equal(open_with("data-science", imports), 0);
	assert_int_equal(policy.import_mode, IMPORTS_ALLOW_LIST);
	assert_string_equal(policy.import_list, "os");
	assert_int_equal(
		open_with("{\"imports\":{\"mode\":\"allow\",\"names\":[\"os\"]}}", imports), 0);
	refused("{\"imports\":{\"mode\":\"off\"}}", imports, "policy.imports: is locked");
	assert_non_null(strstr(err.message, ": M"));
	refused("{\"imports\":{\"mode\":\"allow\",\"names\":[\"os\",\"io\"]}}", imports, "locked");
	assert_int_equal(open_with(NULL, "{\"locked\":{\"imports\":{\"mode\":\"off\"}}}"), 0);
	assert_string_equal(policy.import_list, "");
	assert_int_equal(open_with("strict", files), 0);
	assert_int_equal(policy.files.max_inputs, 1);
	refused("{\"files\":{\"max_inputs\":2}}", files, "policy.files: is locked");
	assert_int_equal(open_with(NULL, env), 0);
	assert_false(policy.environment.any);
	assert_string_equal(policy.environment.set.items[0], "B=1");
	refused("{\"environment\":{\"allow\":\"any\"}}", env, "policy.environment: is locked");
	assert_int_equal(
		open_with("{\"environment\":{\"allow\":[\"A\"],\"set\":{\"B\":\"1\"}}}", env), 0);
	assert_int_equal(open_with("{\"network\":\"none\"}", "{\"locked\":{\"network\":\"none\"}}"),
			 0);
}

static void sharing_can_be_locked(void **state)
{
	static const char site[] = "{\"locked\":{\"fresh_worker\":true,\"share_image\":false}}";

	(void)state;
	assert_int_equal(open_with(NULL, "{}"), 0);
	assert_false(policy.fresh_worker);
	assert_true(policy.share_image);
	assert_int_equal(open_with("strict", site), 0);
	assert_true(policy.fresh_worker);
	assert_false(policy.share_image);
	assert_int_equal(open_with("{\"fresh_worker\":true}", site), 0);
	refused("{\"fresh_worker\":false}", site, "policy.fresh_worker: is locked");
	refused("{\"share_image\":true}", site, "policy.share_image: is locked");
}

static void locked_limits_cannot_even_be_tightened(void **state)
{
	static const char site[] = "{\"locked\":{\"limits\":{\"wall_ms\":4000}}}";
	struct psb_limits wish;
	struct psb_limits out;

	(void)state;
	assert_int_equal(open_with(NULL, site), 0);
	assert_int_equal(limits.wall_ms, 4000);
	psb_limits_init(&wish);
	wish.wall_ms = 4000;
	assert_int_equal(policy_tighten(&policy, &limits, &wish, &out, &err), 0);
	wish.wall_ms = 3999;
	assert_int_equal(policy_tighten(&policy, &limits, &wish, &out, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "locked to 4000; site policy"));
	refused("{\"limits\":{\"wall_ms\":3999}}", site, "policy.limits.wall_ms: is locked");
	options.limits.wall_ms = 3999;
	refused(NULL, site, "locked to 4000");
}

static void the_output_mode_can_be_fixed(void **state)
{
	static const char site[] = "{\"locked\":{\"limits\":{\"on_output_limit\":\"kill\"}}}";

	(void)state;
	options.limits.on_output_limit = PSB_OUTPUT_TRUNCATE;
	assert_int_equal(open_with(NULL, "{}"), 0);
	assert_int_equal(limits.on_output_limit, PSB_OUTPUT_TRUNCATE);
	refused(NULL, site, "wider than the policy's kill; site policy");
	refused("{\"limits\":{\"on_output_limit\":\"kill\"}}", "{}",
		"wider than the policy's kill");
	options.limits.on_output_limit = 0;
	refused("{\"limits\":{\"on_output_limit\":\"truncate\"}}", site, "is locked");
	assert_int_equal(
		open_with(NULL, "{\"locked\":{\"limits\":{\"on_output_limit\":\"truncate\"}}}"), 0);
	assert_int_equal(limits.on_output_limit, PSB_OUTPUT_TRUNCATE);
}

static void floors_add_up(void **state)
{
	(void)state;
	assert_int_equal(open_with(NULL, "{\"require\":[3,\"memory\"]}"), 0);
	assert_int_equal(policy.floor.level, 5); /* a site cannot lower it */
	assert_int_equal(policy.floor.controls, 1u << CONTROL_memory);
	options.require = "2";
	assert_int_equal(open_with(NULL, "{\"require\":[3,\"memory\"]}"), 0);
	assert_int_equal(policy.floor.level, 3);
	assert_int_equal(open_with("{\"require\":7}", "{\"require\":3}"), 0);
	assert_int_equal(policy.floor.level, 7);
	options.require = "network";
	assert_int_equal(open_with("{\"require\":\"cpu\"}", "{\"require\":6}"), 0);
	assert_int_equal(policy.floor.level, 6);
	assert_int_equal(policy.floor.controls, 1u << CONTROL_cpu | 1u << CONTROL_network);
	options.require = "network";
	assert_int_equal(open_with(NULL, "{}"), 0);
	assert_int_equal(policy.floor.level, 5); /* a named control does not replace the level */
}

/* The machine's own file: root's, or nothing runs; only a missing one is none. */
static void the_machine_s_site_must_be_root_s(void **state)
{
	(void)state;
	machine = own;
	put_file(own, "{\"maxima\":{\"wall_ms\":1000}}", 0644);
	assert_int_equal(chmod(dir, 0755), 0);
	if (geteuid() != 0) {
		assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err),
				 PSB_E_POLICY);
		assert_non_null(strstr(err.message, "so nothing runs"));
		return;
	}
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err), 0);
	assert_int_equal(limits.wall_ms, 1000);
	policy_free(&policy);
	assert_int_equal(chown(own, 12345, 0), 0);
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "the file belongs to uid 12345"));
	assert_int_equal(chown(own, 0, 0), 0);
	assert_int_equal(chown(dir, 12345, 0), 0);
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "the directory belongs to uid 12345"));
	assert_int_equal(chown(dir, 0, 0), 0);
}

static void what_others_can_write_is_refused(void **state)
{
	static const mode_t file_modes[] = {0664, 0646, 0666, 0622};
	static const mode_t dir_modes[] = {0775, 0757, 0777};

	(void)state;
	for (size_t i = 0; i < COUNT(file_modes); i++) {
		assert_int_equal(open_with(NULL, "{}"), 0);
		assert_int_equal(chmod(more, file_modes[i]), 0);
		policy_free(&policy);
		assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err),
				 PSB_E_POLICY);
		assert_non_null(strstr(err.message, "the file can be written by others"));
	}
	for (size_t i = 0; i < COUNT(dir_modes); i++) {
		assert_int_equal(chmod(dir, dir_modes[i]), 0);
		refused(NULL, "{}", "the directory can be written by others");
	}
	assert_int_equal(chmod(dir, 01777), 0); /* sticky: nobody can remove another's file */
	assert_int_equal(open_with(NULL, "{}"), 0);
}

static void only_a_plain_file_is_read(void **state)
{
	(void)state;
	options.site_policy = more;
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err),
			 PSB_E_NOT_FOUND);
	put_file(own, "{}", 0644);
	assert_int_equal(symlink(own, more), 0);
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "cannot be read, so nothing runs"));
	assert_int_equal(unlink(more), 0);
	assert_int_equal(mkfifo(more, 0644), 0);
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err), PSB_E_POLICY);
	assert_int_equal(unlink(more), 0);
	assert_int_equal(mkdir(more, 0755), 0);
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err), PSB_E_POLICY);
	assert_int_equal(rmdir(more), 0);
}

/* A directory that is reached through a link is not the one whose owner was looked at. */
static void a_linked_directory_is_refused(void **state)
{
	char link[] = "/tmp/psb-site-link-XXXXXX";
	char path[64];

	(void)state;
	put_file(more, "{}", 0644);
	assert_non_null(mkdtemp(link));
	assert_int_equal(rmdir(link), 0);
	assert_int_equal(symlink(dir, link), 0);
	(void)snprintf(path, sizeof(path), "%s/more.json", link);
	options.site_policy = path;
	assert_int_equal(policy_open_with(&options, machine, &policy, &limits, &err), PSB_E_POLICY);
	assert_non_null(strstr(err.message, "no symlinks"));
	assert_int_equal(unlink(link), 0);
}

static void bad_texts_are_refused_with_file_and_path(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{"", "byte 0"},
		{"[]", "text: byte 0"},
		{"{\"maxima\":{},\"maxima\":{}}", "text.maxima: byte 13: a duplicate key"},
		{"{\"maximum\":{}}", "unknown key \"maximum\"; known are message, maxima"},
		{"{\"maxima\":[]}", "maxima: [] is an array"},
		{"{\"maxima\":{\"wall\":1}}", "unknown key \"wall\""},
		{"{\"maxima\":{\"wall_ms\":\"1\"}}", "wall_ms: \"1\" is a string"},
		{"{\"maxima\":{\"open_files\":5}}", "open_files: 5 is not between"},
		{"{\"maxima\":{\"on_output_limit\":\"kill\"}}", "is no number; lock it"},
		{"{\"locked\":{\"name\":\"x\"}}",
		 "unknown key \"name\"; known are limits, imports"},
		{"{\"locked\":{\"require\":5}}", "unknown key \"require\""},
		{"{\"locked\":{\"imports\":{\"mode\":\"deny\"}}}", "\"names\" is missing"},
		{"{\"locked\":{\"limits\":{\"wall_ms\":9}},\"maxima\":{\"wall_ms\":8}}",
		 "locked.limits.wall_ms: 9 is over its own maximum of 8"},
		{"{\"require\":\"imports\"}", "can never be required"},
		{"{\"message\":\"a\\nb\"}", "control characters"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		refused(NULL, bad[i].text, bad[i].says);
		assert_non_null(strstr(err.message, "site policy /tmp/psb-site-"));
	}
}

/* Root only: two sites, the machine's and another. Neither undoes the other. */
static void two_sites_both_bind(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(dir, 0755), 0);
	machine = own;
	put_file(own,
		 "{\"message\":\"first\",\"maxima\":{\"wall_ms\":1000},"
		 "\"locked\":{\"files\":{\"output\":false}},\"require\":6}",
		 0644);
	assert_int_equal(open_with(NULL, "{\"maxima\":{\"wall_ms\":5000,\"cpu_ms\":500},"
					 "\"require\":2}"),
			 0);
	assert_int_equal(limits.wall_ms, 1000);
	assert_int_equal(limits.cpu_ms, 500);
	assert_false(policy.files.output);
	assert_int_equal(policy.floor.level, 6);
	assert_int_equal(open_with(NULL, "{\"maxima\":{\"wall_ms\":700}}"), 0);
	assert_int_equal(limits.wall_ms, 700); /* the lower one, whoever says so */
	options.limits.wall_ms = 800;
	refused(NULL, "{\"maxima\":{\"wall_ms\":700}}", "maximum of 700");
	options.limits.wall_ms = 0;
	/* An additional site is no way around the machine's. */
	refused(NULL, "{\"locked\":{\"files\":{\"output\":true}}}", "policy.files: is locked");
	assert_non_null(strstr(err.message, "first"));
	refused(NULL, "{\"locked\":{\"limits\":{\"wall_ms\":2000}}}", "over the site's maximum");
}

/* The outcome of a run that a lowered limit ended says so. */
static void a_lowered_limit_is_explained(void **state)
{
	struct psb_limits run;

	(void)state;
	assert_int_equal(open_with(NULL, "{\"message\":\"M\",\"maxima\":{\"wall_ms\":1000}}"), 0);
	run = limits;
	assert_non_null(strstr(policy_limit_note(&policy, 0, &run), ": M"));
	assert_null(policy_limit_note(&policy, 1, &run));
	run.wall_ms = 999; /* the call asked for less: its own wish */
	assert_null(policy_limit_note(&policy, 0, &run));
}

static void a_site_changes_the_digest(void **state)
{
	char before[65];

	(void)state;
	assert_int_equal(open_with(NULL, "{}"), 0);
	memcpy(before, policy.sha256, sizeof(before));
	assert_int_equal(open_with(NULL, "{\"maxima\":{\"wall_ms\":1000}}"), 0);
	assert_string_not_equal(policy.sha256, before);
	assert_int_equal(open_with(NULL, "{\"require\":9}"), 0);
	assert_string_not_equal(policy.sha256, before);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(without_a_site_everything_is_the_caller_s),
		T(defaults_are_lowered_to_maxima),
		T(wishes_over_maxima_are_refused_with_the_message),
		T(the_default_cpu_follows_the_lowered_wall),
		T(locked_members_have_one_value),
		T(sharing_can_be_locked),
		T(locked_limits_cannot_even_be_tightened),
		T(the_output_mode_can_be_fixed),
		T(floors_add_up),
		T(the_machine_s_site_must_be_root_s),
		T(what_others_can_write_is_refused),
		T(only_a_plain_file_is_read),
		T(a_linked_directory_is_refused),
		T(bad_texts_are_refused_with_file_and_path),
		T(two_sites_both_bind),
		T(a_lowered_limit_is_explained),
		T(a_site_changes_the_digest),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
