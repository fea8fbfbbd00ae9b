/*
 * The descriptors that lead to the host: output streams (standard output and error, the result's
 * frames) and the request.
 *
 * Trust boundary: the host caps and counts what comes out; a request's bytes are whatever the
 * caller sent and are only copied here.
 */
#include "file.h"

#define MAX_WRITE_BYTES (UINT64_C(1) << 30)

static int64_t output_write(struct file *file, const void *buffer, uint64_t bytes,
			    uint64_t *position)
{
	struct vfs *vfs = file->vfs;

	(void)position;
	return vfs->host.output(vfs->host.context, (uint32_t)address_of(file->object), buffer,
				min_u64(bytes, MAX_WRITE_BYTES));
}

static const struct file_ops output_ops = {.write = output_write, .kind_mode = LX_S_IFIFO | 0600};

int stream_output_make(struct vfs *vfs, uint32_t stream, struct file **made)
{
	*made = file_new(vfs, &output_ops, pointer_of(stream), LX_O_WRONLY);
	return *made ? 0 : -ENFILE;
}

static int64_t request_read(struct file *file, void *buffer, uint64_t bytes, uint64_t *position)
{
	struct vfs *vfs = file->vfs;

	(void)position;
	return vfs->host.request(vfs->host.context, buffer, bytes);
}

static const struct file_ops request_ops = {.read = request_read, .kind_mode = LX_S_IFIFO | 0600};

int stream_request_make(struct vfs *vfs, struct file **made)
{
	*made = file_new(vfs, &request_ops, NULL, LX_O_RDONLY);
	return *made ? 0 : -ENFILE;
}
