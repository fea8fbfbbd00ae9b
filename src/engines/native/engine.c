/*
 * The native engine's table. Theory of operation: a keeper process (src/keeper) holds the cage and
 * the zygote; this side makes the pipes of each instance, hands the guest's ends over once and then
 * moves bytes. Everything about processes, limits and evidence is the keeper's.
 * Trust: the keeper is ours; bytes from the pipes are the guest's and only passed on.
 */
#include "native.h"

extern const struct engine_ops native_engine;

const struct engine_ops native_engine = {
	.name = "native",
	.level_most = 7,
	.probe = native_probe,
	.plan = native_plan,
	.template_open = native_template_open,
	.turn = native_turn,
	.template_fd = native_template_fd,
	.prepare = native_prepare,
	.state = native_state,
	.process = native_process,
	.start = native_start,
	.pollfds = native_pollfds,
	.has_news = native_has_news,
	.pump = native_pump,
	.stop = native_stop,
	.evidence = native_evidence,
	.failure = native_failure,
	.workspace = native_workspace,
	.recycle = native_recycle,
	.template_close = native_template_close,
	.template_abandon = native_template_abandon,
};
