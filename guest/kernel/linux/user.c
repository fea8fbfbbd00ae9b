/*
 * The program's memory, looked at by the kernel.
 *
 * Trust boundary: an address of the program is good if the range lies in areas with the right
 * protection, or, for reading, in the image. All pages are present and nothing runs in parallel,
 * so what was checked stays so; values are still copied once and then used.
 */
#include "kernel.h"

static uint64_t image_bytes_from(const struct kernel *kernel, uint64_t address)
{
	uint64_t base = address_of(kernel->vfs.image.bytes);

	if (base == 0 || address < base || address - base >= kernel->vfs.image.len)
		return 0;
	return kernel->vfs.image.len - (address - base);
}

uint64_t user_usable(struct kernel *kernel, uint64_t address, uint64_t bytes, uint32_t prot)
{
	if (prot == LX_PROT_READ && image_bytes_from(kernel, address) > 0)
		return min_u64(bytes, image_bytes_from(kernel, address));
	return mm_allowed_bytes(&kernel->mm, address, bytes, prot);
}

void *user_range(struct kernel *kernel, uint64_t address, uint64_t bytes, uint32_t prot)
{
	return user_usable(kernel, address, bytes, prot) == bytes ? pointer_of(address) : NULL;
}

int user_get(struct kernel *kernel, void *to, uint64_t address, uint64_t bytes)
{
	const void *from = user_range(kernel, address, bytes, LX_PROT_READ);

	if (!from)
		return -EFAULT;
	memcpy(to, from, bytes);
	return 0;
}

int user_put(struct kernel *kernel, uint64_t address, const void *from, uint64_t bytes)
{
	void *to = user_range(kernel, address, bytes, LX_PROT_WRITE);

	if (!to)
		return -EFAULT;
	memcpy(to, from, bytes);
	return 0;
}

int user_get_string(struct kernel *kernel, char *to, uint64_t address, uint64_t bytes)
{
	uint64_t usable = user_usable(kernel, address, bytes, LX_PROT_READ);
	const char *from = pointer_of(address);

	for (uint64_t i = 0; i < usable; i++) {
		to[i] = from[i];
		if (!to[i])
			return 0;
	}
	return usable < bytes ? -EFAULT : -ENAMETOOLONG;
}
