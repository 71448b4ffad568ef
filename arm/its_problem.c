/* SPDX-License-Identifier: MIT */
/* What can be wrong with the ITS's tables, and what KVM makes of it. */
#include <errno.h>

#include "arm/its_table.h"

static const struct {
	int refusal;
	const char *text;
} problems[ITS_PROBLEMS] = {
	[ITS_PROBLEM_VCPU] = { EINVAL, "its vCPU does not exist" },
	[ITS_PROBLEM_TWICE] = { EEXIST, "an earlier entry is of the same collection" },
	[ITS_PROBLEM_COLLECTION_ID] = { EINVAL, "its id has no place in the table" },
	[ITS_PROBLEM_EVENT_BITS] = { EINVAL, "it has more than 16 bits of events" },
	[ITS_PROBLEM_DEVICE_ID] = { EINVAL, "its id has no place in the table" },
	[ITS_PROBLEM_LPI] = { EINVAL, "its interrupt is not an LPI" },
	[ITS_PROBLEM_NEXT] = { EINVAL, "the next event is beyond the table's end" },
	[ITS_PROBLEM_COLLECTION] = { EINVAL, "its collection does not exist" },
	[ITS_PROBLEM_PROPERTIES] = { EFAULT, "its LPI's configuration is not in RAM" },
	[ITS_PROBLEM_PENDING] = { EFAULT, "its LPI's pending bit is not in RAM" },
	[ITS_PROBLEM_DEVICE_TWICE] = { 0, "an earlier entry is of the same device" },
	[ITS_PROBLEM_LPI_LIMIT] = { 0, "its LPI is above what GICR_PROPBASER allows" },
	[ITS_PROBLEM_LPI_SHARED] = { 0, "an earlier event has the same LPI" },
	[ITS_PROBLEM_NOWHERE] = { 0, "its collection is on no vCPU" },
};

int its_problem_refusal(enum its_problem problem)
{
	return problems[problem].refusal;
}

const char *its_problem_text(enum its_problem problem)
{
	return problems[problem].text;
}

const char *its_stop_text(enum its_stop stop)
{
	switch (stop) {
	case ITS_STOP_DEVICES:
		return "the device table is not in RAM";
	case ITS_STOP_SECOND:
		return "a second level of the device table is not in RAM";
	case ITS_STOP_COLLECTIONS:
		return "the collection table is not in RAM";
	case ITS_STOP_EVENTS:
		return "an interrupt translation table is not in RAM";
	case ITS_STOP_LIMIT:
		break;
	}
	return "there are more entries than any guest has, and the rest was not checked";
}
