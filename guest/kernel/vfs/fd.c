/*
 * The descriptor table: lowest free number first, as POSIX has it.
 *
 * Trust boundary: descriptor numbers are the program's; every access is bounded by the table.
 */
#include "file.h"

static bool used(const struct fd_table *table, uint32_t fd)
{
	return table->files[fd] != NULL;
}

int fd_install(struct fd_table *table, struct file *file, uint32_t minimum, bool close_on_exec)
{
	uint32_t limit = table->limit < FD_TABLE_SIZE ? table->limit : FD_TABLE_SIZE;
	uint32_t fd = minimum > table->next_hint ? minimum : table->next_hint;

	while (fd < limit && used(table, fd))
		fd++;
	if (fd >= limit)
		return -EMFILE;
	if (minimum <= table->next_hint)
		table->next_hint = fd + 1;
	table->files[fd] = file;
	fd_set_close_on_exec(table, fd, close_on_exec);
	return (int)fd;
}

int fd_install_at(struct fd_table *table, struct file *file, uint32_t fd, bool close_on_exec)
{
	struct file *replaced;

	if (fd >= FD_TABLE_SIZE)
		return -EBADF;
	replaced = table->files[fd];
	if (replaced && replaced == table->kept) {
		file_drop(file);
		return (int)fd;
	}
	table->files[fd] = file;
	fd_set_close_on_exec(table, fd, close_on_exec);
	file_drop(replaced);
	return (int)fd;
}

struct file *fd_get(struct fd_table *table, uint64_t fd)
{
	return fd < FD_TABLE_SIZE ? table->files[fd] : NULL;
}

int fd_close(struct fd_table *table, uint64_t fd)
{
	struct file *file = fd_get(table, fd);

	if (!file)
		return -EBADF;
	if (file == table->kept)
		return 0;
	table->files[fd] = NULL;
	if (fd < table->next_hint)
		table->next_hint = (uint32_t)fd;
	file_drop(file);
	return 0;
}

bool fd_closes_on_exec(const struct fd_table *table, uint32_t fd)
{
	return table->close_on_exec[fd / 64] >> (fd % 64) & 1;
}

void fd_set_close_on_exec(struct fd_table *table, uint32_t fd, bool value)
{
	uint64_t bit = UINT64_C(1) << (fd % 64);

	if (value)
		table->close_on_exec[fd / 64] |= bit;
	else
		table->close_on_exec[fd / 64] &= ~bit;
}
