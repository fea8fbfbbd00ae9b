/*
 * Constants and structures of the Linux user-space ABI on x86-64 that the guest kernel speaks. They
 * have names of their own because the kernel's headers are also included by host tests, next to the
 * C library's.
 */
#ifndef PSB_KERNEL_UAPI_H
#define PSB_KERNEL_UAPI_H

#include <stdint.h>

enum {
	LX_O_RDONLY = 0,
	LX_O_WRONLY = 01,
	LX_O_RDWR = 02,
	LX_O_ACCMODE = 03,
	LX_O_CREAT = 0100,
	LX_O_EXCL = 0200,
	LX_O_TRUNC = 01000,
	LX_O_APPEND = 02000,
	LX_O_NONBLOCK = 04000,
	LX_O_DIRECT = 040000,
	LX_O_DIRECTORY = 0200000,
	LX_O_NOFOLLOW = 0400000,
	LX_O_CLOEXEC = 02000000,
	LX_O_PATH = 010000000,
	LX_O_TMPFILE = 020200000,
};

enum {
	LX_S_IFMT = 0170000,
	LX_S_IFIFO = 0010000,
	LX_S_IFCHR = 0020000,
	LX_S_IFDIR = 0040000,
	LX_S_IFREG = 0100000,
	LX_S_IFLNK = 0120000,
	LX_S_IFSOCK = 0140000,
};

enum { LX_DT_FIFO = 1, LX_DT_CHR = 2, LX_DT_DIR = 4, LX_DT_REG = 8, LX_DT_LNK = 10 };
enum { LX_SEEK_SET = 0, LX_SEEK_CUR = 1, LX_SEEK_END = 2, LX_SEEK_DATA = 3, LX_SEEK_HOLE = 4 };

enum {
	LX_AT_FDCWD = -100,
	LX_AT_SYMLINK_NOFOLLOW = 0x100,
	LX_AT_REMOVEDIR = 0x200,
	LX_AT_EACCESS = 0x200,
	LX_AT_SYMLINK_FOLLOW = 0x400,
	LX_AT_NO_AUTOMOUNT = 0x800,
	LX_AT_EMPTY_PATH = 0x1000,
	LX_AT_STATX_SYNC_TYPE = 0x6000,
};

enum {
	LX_POLLIN = 0x001,
	LX_POLLPRI = 0x002,
	LX_POLLOUT = 0x004,
	LX_POLLERR = 0x008,
	LX_POLLHUP = 0x010,
	LX_POLLNVAL = 0x020,
	LX_POLLRDNORM = 0x040,
	LX_POLLWRNORM = 0x100,
	LX_POLLRDHUP = 0x2000,
};

enum { LX_PROT_NONE = 0, LX_PROT_READ = 1, LX_PROT_WRITE = 2, LX_PROT_EXEC = 4 };

enum {
	LX_MAP_SHARED = 0x01,
	LX_MAP_PRIVATE = 0x02,
	LX_MAP_SHARED_VALIDATE = 0x03,
	LX_MAP_TYPE = 0x0f,
	LX_MAP_FIXED = 0x10,
	LX_MAP_ANONYMOUS = 0x20,
	LX_MAP_GROWSDOWN = 0x100,
	LX_MAP_NORESERVE = 0x4000,
	LX_MAP_STACK = 0x20000,
	LX_MAP_HUGETLB = 0x40000,
	LX_MAP_FIXED_NOREPLACE = 0x100000,
};

enum { LX_MREMAP_MAYMOVE = 1, LX_MREMAP_FIXED = 2, LX_MREMAP_DONTUNMAP = 4 };

struct lx_timespec {
	int64_t tv_sec;
	int64_t tv_nsec;
};

struct lx_stat {
	uint64_t st_dev;
	uint64_t st_ino;
	uint64_t st_nlink;
	uint32_t st_mode;
	uint32_t st_uid;
	uint32_t st_gid;
	uint32_t pad;
	uint64_t st_rdev;
	int64_t st_size;
	int64_t st_blksize;
	int64_t st_blocks;
	struct lx_timespec st_atim;
	struct lx_timespec st_mtim;
	struct lx_timespec st_ctim;
	int64_t unused[3];
};

struct lx_dirent {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
} __attribute__((packed));

#define LX_DIRENT_HEAD 19u

_Static_assert(sizeof(struct lx_stat) == 144, "Linux ABI");
_Static_assert(sizeof(struct lx_dirent) == LX_DIRENT_HEAD, "Linux ABI");

#endif
