/*
 * mmap and its family.
 *
 * Theory of operation: see mm.h. A private mapping of a file is a copy; a read-only one of the
 * image needs none, as the image lies in the address space: its own address is the answer. The
 * dynamic linker's first mapping of a library is told apart by MAP_DENYWRITE: it will be written
 * over in part, so it gets the library's place in the window (mm_window.c), or else memory. A
 * shared mapping of a tmpfs file is the file's own pages.
 * Trust boundary: all arguments are the program's; mm.c checks addresses and lengths.
 */
#include "syscalls.h"

#define MAP_DENYWRITE 0x800u

enum { MADV_DONTNEED = 4, MADV_FREE = 8, MADV_REMOVE = 9, MADV_HWPOISON = 100 };

/* A part of the image, where it lies; 0 if that will not do. */
static uint64_t image_address(struct kernel *kernel, struct node node, const struct call *call)
{
	const uint8_t *data = image_data(&kernel->vfs, node);
	struct attributes attributes;

	if (!data || (call->c & LX_PROT_WRITE) || (call->d & (LX_MAP_FIXED | MAP_DENYWRITE)))
		return 0;
	vfs_attributes(&kernel->vfs, node, &attributes);
	if (call->f > attributes.size || call->b > page_up(attributes.size) - call->f)
		return 0;
	return address_of(data + call->f);
}

/* Of a library in the window: all of it, or a read-only part over what is there. 0: copy. */
static int64_t map_in_window(struct kernel *kernel, struct node node, const struct call *call)
{
	const struct image_library *library = image_library_of(&kernel->vfs, node);
	const void *data = image_data(&kernel->vfs, node);
	bool fixed = call->d & LX_MAP_FIXED;
	int64_t at = -ENOMEM;

	if (!library || !data || (call->d & LX_MAP_TYPE) != LX_MAP_PRIVATE)
		return 0;
	if (fixed ? !mm_in_window(&kernel->mm, call->a) : call->a != 0)
		return 0;
	if (fixed)
		at = mm_map_part(&kernel->mm, call->a, call->b, (uint32_t)call->c,
				 address_of(data) + call->f);
	if (at < 0 && call->f == 0 &&
	    (call->d & ~(uint64_t)LX_MAP_FIXED) == (LX_MAP_PRIVATE | MAP_DENYWRITE))
		at = mm_map_library(&kernel->mm, library, call->a, call->b, (uint32_t)call->c);
	return at > 0 ? at : 0;
}

/* Of a library that is open. 0: it is not that. */
static int64_t reserve_in_window(struct kernel *kernel, const struct call *call)
{
	if (call->a != 0 || call->c != LX_PROT_NONE ||
	    call->d != (LX_MAP_PRIVATE | LX_MAP_ANONYMOUS))
		return 0;
	for (uint32_t fd = 0; fd < FD_TABLE_SIZE; fd++) {
		const struct file *file = kernel->fds.files[fd];
		const struct image_library *library =
			file ? image_library_of(&kernel->vfs, file->node) : NULL;
		int64_t at = library ? mm_reserve_library(&kernel->mm, library, call->b) : 0;

		if (at > 0)
			return at;
	}
	return 0;
}

static int64_t map_anonymous(struct kernel *kernel, const struct call *call)
{
	int64_t at = reserve_in_window(kernel, call);

	return at ? at
		  : mm_map(&kernel->mm, call->a, call->b, (uint32_t)call->c, (uint32_t)call->d);
}

static int64_t map_copy(struct kernel *kernel, struct file *file, const struct call *call)
{
	uint64_t position = call->f;
	uint64_t done = 0;
	int64_t at = mm_map(&kernel->mm, call->a, call->b, (uint32_t)call->c, (uint32_t)call->d);

	while (at >= 0 && done < call->b) {
		int64_t got = file->ops->read(file, pointer_of((uint64_t)at + done), call->b - done,
					      &position);

		if (got <= 0)
			break;
		done += (uint64_t)got;
	}
	return at;
}

static int64_t map_shared(struct kernel *kernel, struct file *file, const struct call *call)
{
	uint64_t bytes = page_up(call->b);
	void *contents;

	if ((call->c & LX_PROT_WRITE) && (file->flags & LX_O_ACCMODE) != LX_O_RDWR)
		return -EACCES;
	if (call->d & LX_MAP_FIXED)
		return -EINVAL;
	contents = tmpfs_pin(&kernel->vfs, file->node, call->f, bytes);
	if (!contents)
		return -ENOMEM;
	return mm_map_shared(&kernel->mm, address_of(contents), bytes, (uint32_t)call->c,
			     file->node);
}

static int64_t map_file(struct kernel *kernel, const struct call *call)
{
	struct file *file = fd_get(&kernel->fds, (uint32_t)call->e);
	uint64_t address;
	int64_t at;

	if (!file)
		return -EBADF;
	if ((file->flags & LX_O_ACCMODE) == LX_O_WRONLY)
		return -EACCES;
	if (!file->node.ops || !file->ops || !file->ops->read || !file->ops->seekable)
		return -ENODEV;
	if (call->f % PAGE_BYTES != 0 || call->b == 0 || call->b > kernel->mm.high ||
	    call->f > (uint64_t)INT64_MAX - call->b)
		return call->b > kernel->mm.high ? -ENOMEM : -EINVAL;
	at = map_in_window(kernel, file->node, call);
	if (at)
		return at;
	address = image_address(kernel, file->node, call);
	if (address)
		return (int64_t)address;
	if ((call->d & LX_MAP_SHARED) && file->node.ops == &tmpfs_ops)
		return map_shared(kernel, file, call);
	if ((call->d & LX_MAP_SHARED) && (call->c & LX_PROT_WRITE))
		return -EACCES;
	return map_copy(kernel, file, call);
}

int64_t sys_mmap(struct kernel *kernel, const struct call *call)
{
	uint32_t type = (uint32_t)call->d & LX_MAP_TYPE;

	if (!(call->d & LX_MAP_ANONYMOUS) && !fd_get(&kernel->fds, (uint32_t)call->e))
		return -EBADF;
	if (type != LX_MAP_PRIVATE && type != LX_MAP_SHARED && type != LX_MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (call->d & LX_MAP_HUGETLB)
		return -ENOMEM;
	return call->d & LX_MAP_ANONYMOUS ? map_anonymous(kernel, call) : map_file(kernel, call);
}

static bool in_image(const struct kernel *kernel, uint64_t address)
{
	return address - address_of(kernel->vfs.image.bytes) < kernel->vfs.image.len;
}

int64_t sys_munmap(struct kernel *kernel, const struct call *call)
{
	if (in_image(kernel, call->a))
		return call->a % PAGE_BYTES || !call->b ? -EINVAL : 0;
	return mm_unmap(&kernel->mm, call->a, call->b);
}

int64_t sys_mprotect(struct kernel *kernel, const struct call *call)
{
	if (in_image(kernel, call->a))
		return call->c & LX_PROT_WRITE ? -EACCES : 0;
	return mm_protect(&kernel->mm, call->a, call->b, (uint32_t)call->c);
}

int64_t sys_mremap(struct kernel *kernel, const struct call *call)
{
	return mm_remap(&kernel->mm, call->a, call->b, call->c, (uint32_t)call->d, call->e);
}

int64_t sys_brk(struct kernel *kernel, const struct call *call)
{
	return (int64_t)mm_brk(&kernel->mm, call->a);
}

int64_t sys_madvise(struct kernel *kernel, const struct call *call)
{
	if (call->a % PAGE_BYTES)
		return -EINVAL;
	if (in_image(kernel, call->a))
		return 0;
	switch ((uint32_t)call->c) {
	case MADV_DONTNEED: return mm_discard(&kernel->mm, call->a, call->b);
	case MADV_REMOVE:
	case MADV_HWPOISON: return -EINVAL;
	default: return 0;
	}
}

int64_t sys_msync(struct kernel *kernel, const struct call *call)
{
	if (call->a % PAGE_BYTES)
		return -EINVAL;
	return in_image(kernel, call->a) || mm_is_mapped(&kernel->mm, call->a, call->b) ? 0
											: -ENOMEM;
}

int64_t sys_mincore(struct kernel *kernel, const struct call *call)
{
	uint64_t pages = page_up(call->b) / PAGE_BYTES;
	void *vector;

	if (call->a % PAGE_BYTES)
		return -EINVAL;
	if (call->b > kernel->mm.high || !mm_is_mapped(&kernel->mm, call->a, call->b))
		return -ENOMEM;
	vector = user_range(kernel, call->c, pages, LX_PROT_WRITE);
	if (!vector)
		return -EFAULT;
	memset(vector, 1, pages);
	return 0;
}

/* Memory is never paged out. */
int64_t sys_mlock(struct kernel *kernel, const struct call *call)
{
	return mm_is_mapped(&kernel->mm, page_down(call->a), call->b) ? 0 : -ENOMEM;
}
