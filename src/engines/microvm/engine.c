/*
 * The microVM engine's table. Theory of operation: docs/design/microvm.md. This side starts the
 * supervisor, lends out its workers and moves bytes; the host application's process touches neither
 * KVM nor guest memory.
 * Trust boundary: bytes from workers are the guest's and go through events.c.
 */
#include "microvm.h"

extern const struct engine_ops microvm_engine;

const struct engine_ops microvm_engine = {
	.name = "microvm",
	.probe = microvm_probe,
	.plan = microvm_plan,
	.template_open = microvm_template_open,
	.turn = microvm_turn,
	.template_fd = microvm_template_fd,
	.progress = microvm_progress,
	.prepare = microvm_prepare,
	.state = microvm_state,
	.process = microvm_process,
	.start = microvm_start,
	.pollfds = microvm_pollfds,
	.has_news = microvm_has_news,
	.pump = microvm_pump,
	.stop = microvm_stop,
	.evidence = microvm_evidence,
	.workspace = microvm_workspace,
	.recycle = microvm_recycle,
	.template_close = microvm_template_close,
	.template_abandon = microvm_template_abandon,
};
