/*
 * Fetching what an ended guest left in its workspace.
 * Not yet supported: refused with an error.
 */
#include "core/error.h"
#include "microvm.h"

int microvm_workspace(struct engine_instance *instance, struct psb_error *err)
{
	(void)instance;
	return psb_fail(err, PSB_E_UNSUPPORTED, 0,
			"microvm: files cannot be collected; use the native engine");
}
