/* survive JOURNAL BASE RECORDS SEED OUT: what is left when the power is cut after so many records. */
#include "tests/power/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	static const char *const names[] = {"ext4", "loose", "posix"};
	static const char *const rests[] = {"none", "all", "prefix", "random"};
	struct disk_cut cut;
	int r;

	if (argc != 6) {
		fprintf(stderr, "usage: survive JOURNAL BASE RECORDS SEED OUT\n");
		return 2;
	}
	cut = disk_cut_drawn(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	printf("names %s, rest %s%s\n", names[cut.names], rests[cut.rest], cut.garbage ? ", garbage" : "");
	r = disk_survive(argv[1], argv[2], &cut, argv[5]);
	if (r < 0)
		fprintf(stderr, "survive: %s\n", strerror(-r));
	return r < 0 ? 1 : 0;
}
