/* SPDX-License-Identifier: MIT */
/* Loads kernel and initrd into RAM, and chooses where the device tree goes. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "arm/boot.h"
#include "arm/fdt.h"
#include "memory/memory_loss.h"
#include "util/bits.h"
#include "util/file.h"
#include "util/file_format.h"

/* The first 64 bytes of an Image (booting.rst, section 4); all fields are little-endian. */
struct image_header {
	uint32_t code[2];
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t flags;
	uint64_t reserved[3];
	uint32_t magic;
	uint32_t pe_offset;
};

#define IMAGE_MAGIC 0x644d5241u     /* "ARM\x64" */
#define OLD_TEXT_OFFSET 0x80000ull /* of old Images, whose header has no image size */

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* The kernel's place in its file, and its compression. */
struct payload {
	int fd;
	const char *path;
	uint64_t offset, size;
	bool gzip;
	bool flat; /* without the header of an Image */
};

/* The kernel's offset in RAM, and the number of bytes that it reserves there. */
struct plan {
	struct payload payload;
	uint64_t offset, reserve;
};

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

static int open_file(const char *path, const char *what, struct error *error)
{
	int fd = file_open_regular(path, O_RDONLY);

	if (fd == -EINVAL)
		return error_set(error, EINVAL, "Unable to open %s %s: it is not a regular file", what, path);
	return fd < 0 ? error_system(error, -fd, "Unable to open %s %s", what, path) : fd;
}

void boot_defer(struct boot *boot, const char *kernel, const char *initrd)
{
	*boot = (struct boot){ .kernel_path = kernel, .initrd_path = initrd, .kernel_fd = -1, .initrd_fd = -1 };
}

void boot_close(struct boot *boot)
{
	if (boot->kernel_fd >= 0)
		close(boot->kernel_fd);
	if (boot->initrd_fd >= 0)
		close(boot->initrd_fd);
	boot->kernel_fd = boot->initrd_fd = -1;
}

static int file_size(int fd, const char *path, uint64_t *size, struct error *error)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return error_system(error, errno, "%s", path);
	*size = (uint64_t)status.st_size;
	return 0;
}

static int read_at(int fd, const char *path, uint64_t offset, void *to, uint64_t size, struct error *error)
{
	while (size) {
		ssize_t got = pread(fd, to, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			error_system(error, errno, "reading %s", path);
			memory_check(error->code, error->text); /* `to` may be guest memory */
			return -1;
		}
		if (got == 0)
			return error_set(error, EIO, "%s became shorter while it was read", path);
		to = (char *)to + got;
		offset += (uint64_t)got;
		size -= (uint64_t)got;
	}
	return 0;
}

/*
 * Inflates up to `capacity` bytes into `to`. `*size` is their number. With `whole`, a longer stream is an error, and so
 * is one without an end.
 */
static int inflate_payload(const struct payload *payload, void *to, uint64_t capacity, bool whole, uint64_t *size,
			   struct error *error)
{
	uint64_t offset = payload->offset, left = payload->size;
	z_stream stream = { 0 };
	uint8_t input[16384];
	int result = Z_OK;

	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return error_set(error, ENOMEM, "no memory to decompress %s", payload->path);
	*size = 0;
	while (result == Z_OK && *size < capacity) {
		uint64_t piece = MIN(left, sizeof(input));
		uint64_t room = capacity - *size;

		if (stream.avail_in == 0 && piece) {
			if (read_at(payload->fd, payload->path, offset, input, piece, error) < 0) {
				inflateEnd(&stream);
				return -1;
			}
			offset += piece;
			left -= piece;
			stream.next_in = input;
			stream.avail_in = (uInt)piece;
		}
		stream.next_out = (Bytef *)to + *size;
		stream.avail_out = room < GIB ? (uInt)room : (uInt)GIB;
		room = stream.avail_out;
		result = inflate(&stream, Z_NO_FLUSH);
		*size += room - stream.avail_out;
	}
	inflateEnd(&stream);
	if (!whole && (result == Z_OK || result == Z_STREAM_END))
		return 0;
	if (result == Z_OK)
		return error_set(error, ENOSPC, "%s does not fit into guest memory when decompressed: give more with --mem",
				 payload->path);
	if (result != Z_STREAM_END)
		return error_set(error, EINVAL, "%s is not a valid gzip file: damaged or cut short", payload->path);
	return 0;
}

/* EFI's zboot (Documentation/admin-guide/efi-stub.rst): "MZ", "zimg", payload offset and size, compression type. */
static int find_zboot_payload(struct payload *payload, const uint8_t *start, struct error *error)
{
	uint32_t offset, size;

	memcpy(&offset, start + 8, sizeof(offset));
	memcpy(&size, start + 12, sizeof(size));
	offset = le32toh(offset);
	size = le32toh(size);
	if (memcmp(start + 24, "gzip", 5) != 0)
		return error_set(error, ENOTSUP, "kernel %s is an EFI image compressed by %.8s: lkvm reads only gzip: decompress "
				 "it first", payload->path, (const char *)start + 24);
	if (offset > payload->size || size > payload->size - offset)
		return error_set(error, EINVAL, "kernel %s is cut short", payload->path);
	payload->offset = offset;
	payload->size = size;
	payload->gzip = true;
	return 0;
}

/* Fails with advice for a kernel file of a known format. */
static int refuse_format(const struct payload *payload, const struct file_format *format, struct error *error)
{
	const char *inside = payload->gzip ? ", compressed by gzip" : "", *advice = "give an arm64 Image";

	if (format->kind == FILE_COMPRESSED)
		return error_set(error, ENOTSUP, "kernel %s is compressed by %s%s: lkvm reads only gzip: decompress it first (%s)",
				 payload->path, format->name, inside, format->tool);
	if (format->kind == FILE_DISK_IMAGE)
		advice = "give it with --disk once it is raw, and an arm64 Image with --kernel";
	else if (format->kind == FILE_SNAPSHOT)
		advice = "'lkvm snapshot restore' restores it";
	else if (format->kind == FILE_ARCHIVE)
		advice = "give an arm64 Image; --initrd is the option for an initrd";
	else if (!strcmp(format->magic, "\177ELF"))
		advice = "give the Image that is built beside a vmlinux (or objcopy -O binary)";
	return error_set(error, ENOTSUP, "kernel %s is %s%s: %s", payload->path, format->name, inside, advice);
}

/* Checks that the decompressed content can run: an Image, or a flat program in no other known format. */
static int check_content(struct payload *payload, const uint8_t *start, size_t size, struct error *error)
{
	static const uint8_t zeroes[4];
	const struct file_format *format;
	uint32_t magic = 0;

	if (size >= sizeof(struct image_header))
		memcpy(&magic, start + offsetof(struct image_header, magic), sizeof(magic));
	payload->flat = le32toh(magic) != IMAGE_MAGIC;
	if (!payload->flat)
		return 0;
	format = file_format_find(start, size);
	if (format)
		return refuse_format(payload, format, error);
	/* An undefined instruction on arm64. */
	if (size >= sizeof(zeroes) && !memcmp(start, zeroes, sizeof(zeroes)))
		return error_set(error, EINVAL, "kernel %s begins with zeroes, which are not a program: give an arm64 Image",
				 payload->path);
	return 0;
}

static int read_start(const struct payload *payload, uint8_t *start, size_t *size, struct error *error)
{
	uint64_t inflated;

	if (!payload->gzip) {
		*size = MIN(payload->size, FILE_FORMAT_HEAD);
		return read_at(payload->fd, payload->path, payload->offset, start, *size, error);
	}
	if (inflate_payload(payload, start, FILE_FORMAT_HEAD, false, &inflated, error) < 0)
		return -1;
	*size = inflated;
	return 0;
}

/* Finds the kernel in its file and reads its first bytes, FILE_FORMAT_HEAD of them at most; refuses other formats. */
static int recognise(const struct boot *boot, struct payload *payload, uint8_t *start, size_t *size, struct error *error)
{
	*payload = (struct payload){ .fd = boot->kernel_fd, .path = boot->kernel_path };
	memset(start, 0, FILE_FORMAT_HEAD);
	if (file_size(payload->fd, payload->path, &payload->size, error) < 0)
		return -1;
	if (payload->size == 0)
		return error_set(error, EINVAL, "kernel %s is empty", payload->path);
	if (read_start(payload, start, size, error) < 0)
		return -1;
	if (!memcmp(start, "MZ\0\0zimg", 8) && find_zboot_payload(payload, start, error) < 0)
		return -1;
	if (start[0] == 0x1f && start[1] == 0x8b)
		payload->gzip = true;
	if (payload->gzip && read_start(payload, start, size, error) < 0)
		return -1;
	return check_content(payload, start, *size, error);
}

int boot_open(struct boot *boot, const char *kernel, const char *initrd, struct error *error)
{
	uint8_t start[FILE_FORMAT_HEAD];
	struct payload payload;
	size_t size;

	boot_defer(boot, kernel, initrd);
	if (!kernel)
		return error_set(error, ENOENT, "no kernel is known");
	boot->kernel_fd = open_file(kernel, "kernel", error);
	if (boot->kernel_fd >= 0 && initrd)
		boot->initrd_fd = open_file(initrd, "initrd", error);
	if (boot->kernel_fd < 0 || (initrd && boot->initrd_fd < 0) || recognise(boot, &payload, start, &size, error) < 0) {
		boot_close(boot);
		return -1;
	}
	boot->flat = payload.flat;
	return 0;
}

/* Finds out where in RAM the kernel goes, and how much its header reserves there. */
static int plan_kernel(const struct boot *boot, const struct ram *ram, struct plan *plan, struct error *error)
{
	uint64_t offset = OLD_TEXT_OFFSET, reserve = 0;
	uint8_t start[FILE_FORMAT_HEAD];
	struct image_header header;
	struct payload payload;
	size_t started;

	if (recognise(boot, &payload, start, &started, error) < 0)
		return -1;
	memcpy(&header, start, sizeof(header));
	if (!payload.flat && header.image_size) {
		offset = le64toh(header.text_offset);
		reserve = le64toh(header.image_size);
	}
	if (offset >= ram->size || reserve > ram->size - offset || (!payload.gzip && payload.size > ram->size - offset))
		return error_set(error, ENOSPC, "kernel %s needs %" PRIu64 " MiB of memory, the guest has %" PRIu64
				 ": give more with --mem", payload.path,
				 (offset / MIB + (reserve > payload.size ? reserve : payload.size) / MIB) + 1, ram->size / MIB);

	*plan = (struct plan){ .payload = payload, .offset = offset, .reserve = reserve };
	return 0;
}

/* Copies the kernel to `to`, which has the size of RAM after the plan's offset. Sets `*end` to its end in RAM. */
static int copy_kernel(const struct plan *plan, const struct ram *ram, void *to, uint64_t *end, struct error *error)
{
	const struct payload *payload = &plan->payload;
	uint64_t size = payload->size;

	if (payload->gzip) {
		if (inflate_payload(payload, to, ram->size - plan->offset, true, &size, error) < 0)
			return -1;
	} else if (read_at(payload->fd, payload->path, payload->offset, to, size, error) < 0) {
		return -1;
	}
	*end = plan->offset + (plan->reserve > size ? plan->reserve : size);
	return 0;
}

/*
 * The device tree goes to the end of the first 256 MiB, the initrd below it, and the kernel below that. If they do not
 * fit, device tree and initrd go further up. All three stay within the 32 GiB from a 1 GiB boundary that the boot
 * protocol requires.
 */
static int place(struct boot *boot, const struct ram *ram, uint64_t kernel_end, struct error *error)
{
	const uint64_t limits[] = { 256 * MIB, GIB, 32 * GIB };

	for (size_t i = 0; i < COUNT(limits); i++) {
		uint64_t limit = MIN(ram->size, limits[i]);
		uint64_t needed = align_up(kernel_end, 2 * MIB) + align_up(boot->initrd_size, 2 * MIB);
		uint64_t fdt = (limit - FDT_MAX_SIZE) & ~(2 * MIB - 1);

		/* The first check also keeps `fdt` from being negative. */
		if (limit < FDT_MAX_SIZE || boot->initrd_size > ram->size || needed > fdt)
			continue;
		boot->fdt = ram->base + fdt;
		boot->initrd = boot->initrd_size ? (boot->fdt - boot->initrd_size) & ~0xffffull : 0;
		return 0;
	}
	return error_set(error, ENOSPC, "the kernel (%" PRIu64 " MiB) and the initrd (%" PRIu64 " MiB) do not fit into %" PRIu64
			 " MiB of memory: give more with --mem", kernel_end / MIB, boot->initrd_size / MIB, ram->size / MIB);
}

/* Opens the files that are not open yet, and plans where the kernel goes. */
static int prepare(struct boot *boot, const struct ram *ram, struct plan *plan, struct error *error)
{
	if (boot->kernel_fd < 0 && boot_open(boot, boot->kernel_path, boot->initrd_path, error) < 0)
		return -1;
	return plan_kernel(boot, ram, plan, error);
}

static int place_initrd(struct boot *boot, const struct ram *ram, uint64_t kernel_end, struct error *error)
{
	boot->initrd_size = 0;
	if (boot->initrd_fd >= 0 && file_size(boot->initrd_fd, boot->initrd_path, &boot->initrd_size, error) < 0)
		return -1;
	return place(boot, ram, kernel_end, error);
}

int boot_check(struct boot *boot, const struct ram *ram, struct error *error)
{
	uint64_t kernel_end, room;
	struct plan plan;
	void *aside;
	int result;

	if (prepare(boot, ram, &plan, error) < 0)
		return -1;
	/* Copies the kernel to other memory as a load does: only this finds its size and shows that it is complete. */
	room = ram->size - plan.offset;
	aside = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (aside == MAP_FAILED)
		return error_system(error, errno, "checking the kernel %s", boot->kernel_path);
	result = copy_kernel(&plan, ram, aside, &kernel_end, error);
	munmap(aside, room);
	return result < 0 ? -1 : place_initrd(boot, ram, kernel_end, error);
}

int boot_load(struct boot *boot, const struct ram *ram, struct error *error)
{
	uint64_t kernel_end = 0;
	struct plan plan = { 0 };

	if (prepare(boot, ram, &plan, error) < 0 ||
	    copy_kernel(&plan, ram, ram->host + plan.offset, &kernel_end, error) < 0 ||
	    place_initrd(boot, ram, kernel_end, error) < 0)
		return -1;
	boot->entry = ram->base + plan.offset;
	if (!boot->initrd_size)
		return 0;
	return read_at(boot->initrd_fd, boot->initrd_path, 0, ram_at(ram, boot->initrd, boot->initrd_size),
		       boot->initrd_size, error);
}
