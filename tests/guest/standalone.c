/*
 * A test build of `_psb` without zygote and cage. serve() returns at once, so that the runner can
 * be tested as an ordinary process; or, with PSB_TEST_FORKS set, it behaves like a zygote in small:
 * it runs the code in PSB_TEST_BEFORE_FORK, then forks that many children one after the other, each
 * with the request from the file PSB_TEST_REQUEST.
 */
#include "../../guest/ext/psb_ext.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_text(const char *text)
{
	PyObject *names = PyDict_New();
	PyObject *code = Py_CompileString(text, "before_fork", Py_file_input);
	PyObject *done = NULL;

	if (names && code && PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0)
		done = PyEval_EvalCode(code, names, names);
	Py_XDECREF(done);
	Py_XDECREF(code);
	Py_XDECREF(names);
	return done ? 0 : -1;
}

static pid_t fork_python(void)
{
	pid_t pid;

	PyOS_BeforeFork();
	pid = fork();
	if (pid == 0)
		PyOS_AfterFork_Child();
	else
		PyOS_AfterFork_Parent();
	return pid;
}

static void open_request(void)
{
	const char *path = getenv("PSB_TEST_REQUEST");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || dup2(fd, PSB_REQUEST_FD) < 0)
		_exit(2);
	(void)close(fd);
}

PyObject *psb_serve(PyObject *module, PyObject *args)
{
	const char *forks = getenv("PSB_TEST_FORKS");
	const char *before = getenv("PSB_TEST_BEFORE_FORK");
	int status = 0;

	(void)module;
	(void)args;
	if (before && run_text(before) != 0)
		return NULL;
	for (long left = forks ? strtol(forks, NULL, 10) : 0; left > 0; left--) {
		pid_t pid = fork_python();

		if (pid == 0) {
			open_request();
			Py_RETURN_NONE;
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
			_exit(3);
	}
	if (forks)
		_exit(0);
	Py_RETURN_NONE;
}

PyObject *psb_ready(PyObject *module, PyObject *args)
{
	(void)module;
	(void)args;
	Py_RETURN_NONE;
}

PyObject *psb_is_populated(PyObject *module, PyObject *args)
{
	(void)module;
	(void)args;
	Py_RETURN_FALSE;
}

PyObject *psb_is_scout(PyObject *module, PyObject *args)
{
	(void)module;
	(void)args;
	Py_RETURN_FALSE;
}

/* Nobody stops this process: it goes on to its exit. */
void psb_await_stop(void)
{
}
