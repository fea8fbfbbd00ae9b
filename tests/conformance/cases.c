/* The table. Programs are short and say one thing each. */
#include "cases.h"

#define SIZED .size = sizeof(struct psb_limits)

const struct conformance_case conformance_cases[] = {
	/* what a run can report */
	{ .name = "empty", .source = "", .status = PSB_OK, .out = "" },
	{ .name = "print", .source = "print('h\xc3\xa9')", .status = PSB_OK, .out = "h\xc3\xa9\n" },
	{ .name = "result", .source = "result = {'a': [1, 2.5, None, True, 'x']}",
	  .status = PSB_OK, .result = "{\"a\":[1,2.5,null,true,\"x\"]}" },
	{ .name = "result none", .source = "result = None", .status = PSB_OK, .result = "null" },
	{ .name = "last expression is no result", .source = "1 + 1", .status = PSB_OK },
	{ .name = "inputs", .source = "result = a + len(b)", .inputs = "{\"a\":40,\"b\":[0,0]}",
	  .status = PSB_OK, .result = "42" },
	{ .name = "stderr", .source = "import sys; sys.stderr.write('oops')", .status = PSB_OK,
	  .err = "oops" },
	{ .name = "crlf and bom", .source = "\xef\xbb\xbfx = 1\r\nresult = x\r\n",
	  .status = PSB_OK, .result = "1" },
	{ .name = "nul byte", .source = "x = 1\0y", .source_len = 7, .status = PSB_ERROR },
	{ .name = "exception", .source = "x = 1\nraise ValueError('why')", .status = PSB_ERROR,
	  .type = "ValueError", .message = "why", .line = 2, .err = "ValueError: why" },
	{ .name = "innermost line", .source = "def f():\n    return 1 / 0\n\nf()\n",
	  .status = PSB_ERROR, .type = "ZeroDivisionError", .line = 2 },
	{ .name = "syntax error", .source = "x = 1\nx = = 2\n", .status = PSB_ERROR,
	  .type = "SyntaxError", .line = 2 },
	{ .name = "recursion", .source = "def f(): f()\nf()", .status = PSB_ERROR,
	  .type = "RecursionError" },
	{ .name = "exit 0 is ok", .source = "import sys\nresult = 7\nsys.exit(0)",
	  .status = PSB_OK, .result = "7" },
	{ .name = "exit 5", .source = "import sys\nsys.exit(5)", .status = PSB_EXIT,
	  .exit_code = 5 },
	{ .name = "os._exit", .source = "import os\nos._exit(9)", .status = PSB_EXIT,
	  .exit_code = 9 },
	/* values */
	{ .name = "big int", .source = "result = 2**64", .status = PSB_OK,
	  .result = "{\"$type\":\"int\",\"value\":\"18446744073709551616\"}" },
	{ .name = "nan", .source = "result = float('nan')", .status = PSB_OK,
	  .result = "{\"$type\":\"float\",\"value\":\"nan\"}" },
	{ .name = "tuple", .source = "result = (1, 2)", .status = PSB_OK, .result = "[1,2]" },
	{ .name = "bytes", .source = "result = b'abc'", .status = PSB_OK,
	  .result = "{\"$type\":\"bytes\",\"base64\":\"YWJj\"}" },
	{ .name = "set", .source = "result = {1}", .status = PSB_ERROR, .type = "ResultError" },
	{ .name = "non-string key", .source = "result = {1: 2}", .status = PSB_ERROR,
	  .type = "ResultError" },
	{ .name = "cycle", .source = "result = []\nresult.append(result)", .status = PSB_ERROR,
	  .type = "ResultError" },
	{ .name = "lone surrogate", .source = "result = '\\ud800'", .status = PSB_ERROR },
	/* what the host decides */
	{ .name = "wall", .source = "import time\ntime.sleep(60)", .status = PSB_TIMEOUT,
	  .limit = "wall", .limits = { SIZED, .wall_ms = 300 } },
	{ .name = "wall, ignoring signals", .source =
	  "import signal, time\nfor s in range(1, 64):\n    try: signal.signal(s, signal.SIG_IGN)\n"
	  "    except Exception: pass\ntime.sleep(60)", .status = PSB_TIMEOUT, .limit = "wall",
	  .limits = { SIZED, .wall_ms = 300 } },
	{ .name = "cpu", .source = "while True: pass", .status = PSB_CPU_LIMIT, .limit = "cpu",
	  .limits = { SIZED, .wall_ms = 20000, .cpu_ms = 200 } },
	{ .name = "stdout", .source = "print('x' * 5000)", .status = PSB_OUTPUT_LIMIT,
	  .limit = "stdout", .out = "xxxxxxxxxx", .limits = { SIZED, .stdout_bytes = 10 } },
	{ .name = "stderr flood", .source = "import os\nwhile True: os.write(2, b'y' * 4096)",
	  .status = PSB_OUTPUT_LIMIT, .limit = "stderr",
	  .limits = { SIZED, .stderr_bytes = 1000 } },
	{ .name = "result over", .source = "result = 'x' * 5000", .status = PSB_RESULT_LIMIT,
	  .limit = "result", .limits = { SIZED, .result_bytes = 100 } },
	{ .name = "shared result", .source = "result = []\nfor i in range(60): result = [result, "
	  "result]", .status = PSB_RESULT_LIMIT, .limit = "result",
	  .limits = { SIZED, .result_bytes = 100000 } },
	{ .name = "soft memory", .source = "x = bytearray(1 << 30)", .status = PSB_ERROR,
	  .type = "MemoryError", .limits = { SIZED, .memory_bytes = 64 << 20 } },
	{ .name = "crash", .source = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
	  .status = PSB_CRASH, .type = "SIGSEGV" },
	/* bytes that must not pass for the outcome */
	{ .name = "noise in every descriptor", .source =
	  "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'noise')\n"
	  "    except OSError: pass\nresult = 1", .status = PSB_OK, .result = "1" },
	{ .name = "closed descriptors", .source =
	  "import os\nos.closerange(0, 256)\nresult = 1", .status = PSB_OK, .result = "1" },
	{ .name = "broken builtins", .source =
	  "import builtins\nresult = 3\nput = setattr\nfor n in list(vars(builtins)):\n"
	  "    put(builtins, n, None)", .status = PSB_OK, .result = "3" },
	{ .name = "invalid utf-8", .source = "import os\nos.write(1, b'a\\xffb')",
	  .status = PSB_OK, .out = "a\xef\xbf\xbd" "b" },
	/* imports */
	{ .name = "denied import", .source = "import subprocess", .status = PSB_ERROR,
	  .type = "ImportError", .message = "subprocess" },
	{ .name = "allow list", .source = "import webbrowser", .policy = "data-science",
	  .status = PSB_ERROR, .type = "ImportError", .message = "data-science" },
	{ .name = "usual modules", .source = "import os, json, math, pathlib, tempfile, io, asyncio\n"
	  "result = asyncio.run(asyncio.sleep(0, 5))", .status = PSB_OK, .result = "5" },
};

const size_t conformance_case_count =
	sizeof(conformance_cases) / sizeof(conformance_cases[0]);
