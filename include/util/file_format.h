/* SPDX-License-Identifier: MIT */
/* Recognizes file formats by their magic numbers, for messages about a file that is no kernel or raw disk. */
#ifndef LKVM_UTIL_FILE_FORMAT_H
#define LKVM_UTIL_FILE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FILE_FORMAT_HEAD 1024u /* bytes at a file's start that include every magic number */

enum file_kind {
	FILE_COMPRESSED, /* tool: the program that decompresses it */
	FILE_DISK_IMAGE, /* tool: qemu-img's name of the format */
	FILE_ARCHIVE,    /* initrds and packages */
	FILE_PROGRAM,    /* kernels of other machines, EFI and Linux programs */
	FILE_SNAPSHOT,   /* lkvm's own */
};

struct file_format {
	const char *name; /* with its article: "an ELF file" */
	enum file_kind kind;
	const char *tool; /* or NULL */
	unsigned offset;  /* of the magic number */
	const char *magic;
	unsigned length;
};

/*
 * Returns the format of a file by its first `size` bytes, or NULL. FILE_FORMAT_HEAD bytes, or the whole file if it is
 * shorter, are enough. An arm64 Image may also be an EFI program: test for the Image first.
 */
const struct file_format *file_format_find(const void *start, size_t size);

#endif
