/* SPDX-License-Identifier: MIT */
/*
 * Sets a limit of resources (setrlimit(2)), of a command that it becomes or of a process that runs:
 *   limit RESOURCE VALUE COMMAND...         RESOURCE: nofile, as, memlock, nproc
 *   limit RESOURCE VALUE --user UID COMMAND...   as another user, for root has no limit of processes
 *   limit RESOURCE VALUE --pid PID
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int find(const char *name)
{
	static const struct {
		const char *name;
		int resource;
	} resources[] = {
		{ "nofile", RLIMIT_NOFILE }, { "as", RLIMIT_AS }, { "memlock", RLIMIT_MEMLOCK }, { "nproc", RLIMIT_NPROC },
	};

	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (!strcmp(resources[i].name, name))
			return resources[i].resource;
	return -1;
}

static int fail(const char *what)
{
	perror(what);
	return 125;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	int resource = argc > 3 ? find(argv[1]) : -1;
	char **command = argv + 3;

	if (resource < 0) {
		fputs("usage: limit RESOURCE VALUE [--user UID] COMMAND... | --pid PID\n", stderr);
		return 125;
	}
	limit.rlim_cur = limit.rlim_max = strtoul(argv[2], NULL, 0);
	if (argc > 4 && !strcmp(argv[3], "--pid"))
		return prlimit(atoi(argv[4]), resource, &limit, NULL) < 0 ? fail("prlimit") : 0;
	if (argc > 5 && !strcmp(argv[3], "--user")) {
		if (setgid((gid_t)atoi(argv[4])) < 0 || setuid((uid_t)atoi(argv[4])) < 0)
			return fail("setuid");
		command += 2;
	}
	if (setrlimit(resource, &limit) < 0)
		return fail("setrlimit");
	execvp(command[0], command);
	return fail(command[0]);
}
