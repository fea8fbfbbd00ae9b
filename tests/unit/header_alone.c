/* Compiled as C99 and as C++11 with every warning an error: the header stands alone. */
#include "pysandbox.h"

int main(void);

int main(void)
{
	struct psb_options options;
	struct psb_request request;

	psb_options_init(&options);
	psb_request_init(&request);
	return options.size == sizeof(options) && request.size == sizeof(request) ? 0 : 1;
}
