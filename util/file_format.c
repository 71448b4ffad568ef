/* SPDX-License-Identifier: MIT */
/* Recognizes the format of a file by its first bytes. */
#include "util/file_format.h"

#include <string.h>

#include "util/bits.h"

#define MAGIC(text) .magic = (text), .length = sizeof(text) - 1

/* More specific formats come first: a bzImage is also an EFI program. */
static const struct file_format formats[] = {
	{ "gzip", FILE_COMPRESSED, "gunzip", 0, MAGIC("\x1f\x8b\x08") },
	{ "xz", FILE_COMPRESSED, "unxz", 0, MAGIC("\xfd" "7zXZ\0") },
	{ "zstd", FILE_COMPRESSED, "unzstd", 0, MAGIC("\x28\xb5\x2f\xfd") },
	{ "bzip2", FILE_COMPRESSED, "bunzip2", 0, MAGIC("BZh") },
	{ "lz4", FILE_COMPRESSED, "unlz4", 0, MAGIC("\x04\x22\x4d\x18") },
	{ "lz4", FILE_COMPRESSED, "unlz4", 0, MAGIC("\x02\x21\x4c\x18") },
	{ "lzop", FILE_COMPRESSED, "lzop -d", 0, MAGIC("\x89LZO\0\r\n\x1a\n") },

	{ "a qcow2 image", FILE_DISK_IMAGE, "qcow2", 0, MAGIC("QFI\xfb") },
	{ "a QED image", FILE_DISK_IMAGE, "qed", 0, MAGIC("QED\0") },
	{ "a VMDK image", FILE_DISK_IMAGE, "vmdk", 0, MAGIC("KDMV") },
	{ "a VMDK image", FILE_DISK_IMAGE, "vmdk", 0, MAGIC("COWD") },
	{ "a VMDK descriptor", FILE_DISK_IMAGE, "vmdk", 0, MAGIC("# Disk DescriptorFile") },
	{ "a VHDX image", FILE_DISK_IMAGE, "vhdx", 0, MAGIC("vhdxfile") },
	{ "a VHD image", FILE_DISK_IMAGE, "vpc", 0, MAGIC("conectix") },
	{ "a VDI image", FILE_DISK_IMAGE, "vdi", 0x40, MAGIC("\x7f\x10\xda\xbe") },
	{ "a Parallels image", FILE_DISK_IMAGE, "parallels", 0, MAGIC("WithoutFreeSpace") },
	{ "a Parallels image", FILE_DISK_IMAGE, "parallels", 0, MAGIC("WithouFreSpacExt") },

	{ "a snapshot of lkvm", FILE_SNAPSHOT, NULL, 0, MAGIC("lkvmSNAP") },
	{ "a snapshot stream of lkvm", FILE_SNAPSHOT, NULL, 0, MAGIC("lkvmPIPE") },

	{ "a cpio archive, as initrds are", FILE_ARCHIVE, NULL, 0, MAGIC("070701") },
	{ "a cpio archive, as initrds are", FILE_ARCHIVE, NULL, 0, MAGIC("070702") },
	{ "a cpio archive", FILE_ARCHIVE, NULL, 0, MAGIC("070707") },
	{ "a tar archive", FILE_ARCHIVE, NULL, 257, MAGIC("ustar") },
	{ "a zip archive", FILE_ARCHIVE, NULL, 0, MAGIC("PK\3\4") },
	{ "an ar archive or Debian package", FILE_ARCHIVE, NULL, 0, MAGIC("!<arch>\n") },
	{ "an RPM package", FILE_ARCHIVE, NULL, 0, MAGIC("\xed\xab\xee\xdb") },
	{ "a squashfs file system", FILE_ARCHIVE, NULL, 0, MAGIC("hsqs") },

	{ "a bzImage, an x86 kernel", FILE_PROGRAM, NULL, 0x202, MAGIC("HdrS") },
	{ "a RISC-V Image", FILE_PROGRAM, NULL, 0x38, MAGIC("RSC\x05") },
	{ "a zImage, a 32-bit ARM kernel", FILE_PROGRAM, NULL, 0x24, MAGIC("\x18\x28\x6f\x01") },
	{ "a uImage of U-Boot", FILE_PROGRAM, NULL, 0, MAGIC("\x27\x05\x19\x56") },
	{ "a device tree or FIT image", FILE_PROGRAM, NULL, 0, MAGIC("\xd0\x0d\xfe\xed") },
	{ "an Android boot image", FILE_PROGRAM, NULL, 0, MAGIC("ANDROID!") },
	{ "an ELF file", FILE_PROGRAM, NULL, 0, MAGIC("\177ELF") },
	{ "an EFI or Windows program", FILE_PROGRAM, NULL, 0, MAGIC("MZ") },
	{ "a script", FILE_PROGRAM, NULL, 0, MAGIC("#!") },
};

const struct file_format *file_format_find(const void *start, size_t size)
{
	const uint8_t *bytes = start;

	for (size_t i = 0; i < COUNT(formats); i++) {
		const struct file_format *format = &formats[i];

		if (format->offset + format->length <= size &&
		    !memcmp(bytes + format->offset, format->magic, format->length))
			return format;
	}
	return NULL;
}
