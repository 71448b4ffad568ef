/* SPDX-License-Identifier: MIT */
/* Names formats of files by the magic numbers at their start: what a user gave instead of a kernel or a raw disk. */
#ifndef LKVM_UTIL_FILE_FORMAT_H
#define LKVM_UTIL_FILE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FILE_FORMAT_HEAD 1024u /* bytes of a file's start in which every magic number lies */

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
 * The format that the first `size` bytes of a file show, or NULL. FILE_FORMAT_HEAD bytes, or the whole file where it is
 * shorter, are enough. An arm64 Image may also be an EFI program: test for the Image first.
 */
const struct file_format *file_format_find(const void *start, size_t size);

#endif
