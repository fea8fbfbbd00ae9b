/* Opening sandboxes over the fake engines. */
#ifndef PSB_UNIT_FIXTURE_H
#define PSB_UNIT_FIXTURE_H

#include "../conformance/fake_engine.h"
#include "core/sandbox.h"

static const struct engine_ops *const only_a[] = {&fake_engine_a, NULL};
static const struct engine_ops *const b_then_a[] = {&fake_engine_b, &fake_engine_a, NULL};

static inline int open_fake(const struct engine_ops *const *engines, psb_sandbox **out,
			    struct psb_error *err)
{
	struct psb_options options;

	psb_options_init(&options);
	options.python = "/bin/sh";
	options.pool_size = 2;
	return sandbox_open_with(&options, engines, out, err);
}

static inline int run_source(psb_sandbox *sandbox, struct psb_request *request,
			     psb_outcome **outcome, struct psb_error *err)
{
	request->source = "x = 1";
	request->source_len = 5;
	return psb_execute(sandbox, request, outcome, err);
}

#endif
