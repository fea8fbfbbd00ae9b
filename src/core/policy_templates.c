/*
 * The policies that ship with the library, as JSON text: they pass through the same reader as a
 * caller's own, so a template cannot say anything that a policy could not.
 *
 * The deny list names modules that a program has no use for inside the cage: they would fail on
 * the kernel's wall anyway; the list makes the failure an ImportError with a reason.
 */
#include "core/default_imports.h"
#include "core/policy.h"

#include <stddef.h>

#define DATA_LIST                                                                                  \
	"\"__future__\",\"abc\",\"argparse\",\"array\",\"ast\",\"asyncio\",\"base64\","            \
	"\"binascii\","                                                                            \
	"\"bisect\",\"builtins\",\"bz2\",\"calendar\",\"cmath\",\"codecs\",\"collections\","       \
	"\"colorsys\",\"concurrent\",\"contextlib\",\"contextvars\",\"copy\",\"copyreg\",\"csv\"," \
	"\"dataclasses\",\"datetime\",\"decimal\",\"difflib\",\"dis\",\"doctest\",\"email\","      \
	"\"enum\",\"errno\",\"fnmatch\",\"fractions\",\"functools\",\"gc\",\"getopt\",\"glob\","   \
	"\"graphlib\",\"gzip\",\"hashlib\",\"heapq\",\"hmac\",\"html\",\"importlib\",\"inspect\"," \
	"\"io\",\"ipaddress\",\"itertools\",\"json\",\"keyword\",\"linecache\",\"locale\","        \
	"\"logging\",\"lzma\",\"math\",\"mimetypes\",\"numbers\",\"operator\",\"os\",\"pathlib\"," \
	"\"pickle\",\"platform\",\"pprint\",\"queue\",\"random\",\"re\",\"reprlib\",\"sched\","    \
	"\"secrets\",\"select\",\"shutil\",\"signal\",\"sqlite3\",\"stat\",\"statistics\","        \
	"\"string\",\"stringprep\",\"struct\",\"sys\",\"tempfile\",\"textwrap\",\"threading\","    \
	"\"time\",\"timeit\",\"token\",\"tokenize\",\"traceback\",\"tracemalloc\",\"types\","      \
	"\"typing\",\"unicodedata\",\"unittest\",\"urllib.parse\",\"uuid\",\"warnings\","          \
	"\"weakref\",\"xml\",\"zipfile\",\"zlib\",\"zoneinfo\","                                   \
	"\"numpy\",\"pandas\",\"matplotlib\",\"scipy\",\"dateutil\",\"pytz\",\"PIL\""

#define DOCUMENT_LIST                                                                              \
	"\"__future__\",\"abc\",\"argparse\",\"array\",\"ast\",\"base64\",\"binascii\","           \
	"\"bisect\","                                                                              \
	"\"builtins\",\"bz2\",\"calendar\",\"codecs\",\"collections\",\"configparser\","           \
	"\"contextlib\",\"copy\",\"csv\",\"dataclasses\",\"datetime\",\"decimal\",\"difflib\","    \
	"\"email\",\"enum\",\"errno\",\"fnmatch\",\"fractions\",\"functools\",\"glob\",\"gzip\","  \
	"\"hashlib\",\"heapq\",\"html\",\"io\",\"itertools\",\"json\",\"locale\",\"logging\","     \
	"\"lzma\",\"mailbox\",\"math\",\"mimetypes\",\"numbers\",\"operator\",\"os\",\"pathlib\"," \
	"\"plistlib\",\"pprint\",\"quopri\",\"random\",\"re\",\"shutil\",\"stat\",\"statistics\"," \
	"\"string\",\"stringprep\",\"struct\",\"sys\",\"tarfile\",\"tempfile\",\"textwrap\","      \
	"\"time\",\"tomllib\",\"traceback\",\"types\",\"typing\",\"unicodedata\",\"urllib."        \
	"parse\","                                                                                 \
	"\"uuid\",\"warnings\",\"weakref\",\"xml\",\"zipfile\",\"zlib\",\"zoneinfo\",\"bs4\","     \
	"\"chardet\",\"dateutil\",\"docx\",\"fitz\",\"html5lib\",\"jinja2\",\"lxml\","             \
	"\"markdown\",\"odf\",\"openpyxl\",\"pdfminer\",\"PIL\",\"pptx\",\"pypdf\",\"PyPDF2\","    \
	"\"pytz\",\"reportlab\",\"tabulate\",\"xlrd\",\"xlsxwriter\",\"yaml\""

static const struct {
	const char *name;
	const char *text;
} templates[] = {
	{"default",
	 "{\"name\":\"default\",\"imports\":{\"mode\":\"deny\",\"names\":[" DEFAULT_DENY_LIST
	 "]}}"},
	{"data-science",
	 "{\"name\":\"data-science\",\"imports\":{\"mode\":\"allow\",\"names\":[" DATA_LIST "]}}"},
	{"documents",
	 "{\"name\":\"documents\",\"limits\":{\"wall_ms\":120000,\"memory_bytes\":536870912,"
	 "\"workspace_bytes\":268435456,\"workspace_files\":4096},"
	 "\"imports\":{\"mode\":\"allow\",\"names\":[" DOCUMENT_LIST "]},"
	 "\"environment\":{\"allow\":[\"LANG\",\"LC_*\",\"TZ\"]}}"},
	{"strict", "{\"name\":\"strict\",\"limits\":{\"wall_ms\":5000,\"cpu_ms\":5000,"
		   "\"memory_bytes\":268435456,\"stdout_bytes\":262144,\"stderr_bytes\":262144,"
		   "\"result_bytes\":1048576,\"workspace_bytes\":16777216,\"workspace_files\":128,"
		   "\"open_files\":64,\"processes\":16},"
		   "\"imports\":{\"mode\":\"deny\",\"names\":[" DEFAULT_DENY_LIST "]},"
		   "\"files\":{\"max_inputs\":16},\"environment\":{\"allow\":[]},\"require\":6}"},
};

const char *policy_template(size_t index, const char **name)
{
	if (index >= sizeof(templates) / sizeof(templates[0]))
		return NULL;
	*name = templates[index].name;
	return templates[index].text;
}
