/* SPDX-License-Identifier: MIT */
/*
 * migrate HOW SOCKET URI: makes the QEMU with QMP at SOCKET migrate to URI, and prints
 *   - the nanoseconds until the migration was complete,
 *   - the nanoseconds by QEMU's own measurement (query-migrate's total-time),
 *   - the bytes of RAM that QEMU did not treat as zero (normal-bytes).
 * HOW is "stopped": the guest is stopped first, and the bandwidth is not limited; "limited": the same with QEMU's default limit
 * (128 MiB/s); "running": the guest runs during the migration, without a limit. A guest that was saved stopped is restored
 * stopped. URI is QEMU's, or file:PATH for a file that this program opens and passes to QEMU (fd:). Then the guest continues.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char text[65536]; /* output of QEMU that was not parsed yet */

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (unsigned long long)time.tv_sec * 1000000000 + (unsigned long long)time.tv_nsec;
}

/* Reads until `word` arrives. Then `text` has the output up to the end of that line. */
static void await(int fd, const char *word)
{
	static size_t have;
	static char buffer[sizeof(text)];

	for (;;) {
		char *end = memchr(buffer, '\n', have);

		if (end) {
			size_t size = (size_t)(end - buffer) + 1;

			memcpy(text, buffer, size);
			text[size - 1] = '\0';
			memmove(buffer, buffer + size, have - size);
			have -= size;
			if (strstr(text, word))
				return;
			if (strstr(text, "\"error\"") || strstr(text, "\"failed\"")) {
				fprintf(stderr, "migrate: %s\n", text);
				exit(1);
			}
			continue;
		}

		ssize_t got = read(fd, buffer + have, sizeof(buffer) - have);

		if (got <= 0) {
			fprintf(stderr, "migrate: QEMU is gone, without \"%s\"\n", word);
			exit(1);
		}
		have += (size_t)got;
	}
}

/* Sends a command, with the file descriptor `passed` unless it is -1. */
static void say(int fd, const char *command, int passed)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec part = { .iov_base = (void *)(unsigned long)command, .iov_len = strlen(command) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (passed >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
	}
	if (sendmsg(fd, &message, 0) < 0) {
		perror("migrate: sendmsg");
		exit(1);
	}
}

static void ask(int fd, const char *command)
{
	say(fd, command, -1);
	await(fd, "\"return\"");
}

static unsigned long long number(const char *name)
{
	const char *found = strstr(text, name);

	return found ? strtoull(found + strlen(name) + 2, NULL, 10) : 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	unsigned long long start, time;
	const char *uri;
	char command[512];

	if (argc != 4)
		return 2;
	uri = argv[3];
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[2]);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(argv[2]);
		return 1;
	}
	await(fd, "QMP");
	ask(fd, "{\"execute\":\"qmp_capabilities\"}");
	ask(fd, "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":[{\"capability\":\"events\",\"state\":true}]}}");
	snprintf(command, sizeof(command), "{\"execute\":\"migrate-set-parameters\",\"arguments\":{\"max-bandwidth\":%llu}}",
		 strcmp(argv[1], "limited") ? 1ull << 40 : 128ull << 20);
	ask(fd, command);

	start = now();
	if (!strncmp(uri, "file:", 5)) {
		int file = open(uri + 5, O_RDWR | O_CREAT | O_TRUNC, 0666);

		say(fd, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"to\"}}", file);
		await(fd, "\"return\"");
		close(file);
		uri = "fd:to";
	}
	if (strcmp(argv[1], "running") != 0)
		ask(fd, "{\"execute\":\"stop\"}");
	snprintf(command, sizeof(command), "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"%s\"}}", uri);
	say(fd, command, -1);
	await(fd, "\"completed\"");
	time = now() - start;
	/* In the state postmigrate, QEMU has its figures and can continue. */
	do {
		usleep(10000);
		ask(fd, "{\"execute\":\"query-status\"}");
	} while (!strstr(text, "postmigrate"));
	ask(fd, "{\"execute\":\"query-migrate\"}");
	printf("%llu %llu %llu\n", time, number("\"total-time\"") * 1000000, number("\"normal-bytes\""));
	ask(fd, "{\"execute\":\"cont\"}");
	return 0;
}
