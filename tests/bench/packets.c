/* SPDX-License-Identifier: MIT */
/*
 * Sends packets between the two ends of a tap, with the same program on both:
 *   packets answer                         serves the senders for ever
 *   packets datagrams ADDRESS COUNT WINDOW sends COUNT datagrams, and waits for a reply after each WINDOW of them
 *   packets stream ADDRESS MEGABYTES       sends that much by TCP, and waits until it has arrived
 * The senders print the duration in nanoseconds of CLOCK_MONOTONIC. The window prevents overflowing queues, as the sender would
 * wait for the reply to a lost datagram.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 7777
#define DATAGRAM 64u
#define MEGABYTE 1000000u

static uint8_t buffer[65536];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (unsigned long long)time.tv_sec * 1000000000 + (unsigned long long)time.tv_nsec;
}

static int open_socket(int type)
{
	int fd = socket(AF_INET, type, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

static int connect_to(int type, const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = open_socket(type);

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail(address);
	return fd;
}

static int listen_at(int type)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = open_socket(type);
	int yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || (type == SOCK_STREAM && listen(fd, 1) < 0))
		fail("bind");
	return fd;
}

/* The first byte of a datagram is set if the sender waits for a reply. */
static void answer_datagram(int fd)
{
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	ssize_t got = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

	if (got > 0 && buffer[0])
		sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&from, length);
}

static void answer_stream(int listener)
{
	int fd = accept(listener, NULL, NULL);

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	if (write(fd, "", 1) != 1)
		perror("answer");
	close(fd);
}

/* Uses two processes, so that recvfrom() waits for a datagram. A poll() for each datagram would add to the result. */
static void answer(void)
{
	int datagrams = listen_at(SOCK_DGRAM), streams = listen_at(SOCK_STREAM);
	bool first = fork() != 0;

	for (;;) {
		if (first)
			answer_datagram(datagrams);
		else
			answer_stream(streams);
	}
}

static int send_datagrams(const char *address, unsigned long count, unsigned long window)
{
	int fd = connect_to(SOCK_DGRAM, address);
	unsigned long long start = now();

	for (unsigned long i = 1; i <= count; i++) {
		bool wait = i % window == 0 || i == count;

		buffer[0] = wait;
		if (send(fd, buffer, DATAGRAM, 0) < 0)
			fail("send");
		if (wait && recv(fd, buffer, DATAGRAM, 0) < 0)
			fail("recv");
	}
	printf("%llu\n", now() - start);
	return 0;
}

static int send_stream(const char *address, unsigned long megabytes)
{
	int fd = connect_to(SOCK_STREAM, address);
	unsigned long long start = now();

	for (uint64_t left = (uint64_t)megabytes * MEGABYTE; left > 0;) {
		ssize_t put = write(fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer));

		if (put < 0)
			fail("write");
		left -= (uint64_t)put;
	}
	shutdown(fd, SHUT_WR);
	if (read(fd, buffer, 1) != 1)
		fail("read");
	printf("%llu\n", now() - start);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "answer"))
		answer();
	if (argc == 5 && !strcmp(argv[1], "datagrams"))
		return send_datagrams(argv[2], strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	if (argc == 4 && !strcmp(argv[1], "stream"))
		return send_stream(argv[2], strtoul(argv[3], NULL, 10));
	fprintf(stderr, "usage: packets answer | datagrams ADDRESS COUNT WINDOW | stream ADDRESS MEGABYTES\n");
	return 2;
}
