/* What the files that change the disk share: names in tmp/ and trash/, whole writes, careful renames. */
#ifndef TUTTI_APPLY_INTERNAL_H
#define TUTTI_APPLY_INTERNAL_H

#include "apply.h"

/* A letter and a number. */
#define TMP_NAME_SIZE 24
void tmp_name(char name[TMP_NAME_SIZE], char letter, uint64_t number);

/* `SECONDS.NANOSECONDS-BASENAME`, the base name cut to fit; as large as op.trash. */
#define TRASH_NAME_SIZE sizeof(((struct op *)0)->trash)

struct trash_stamp {
	int64_t s;
	long ns;
};
struct trash_stamp trash_stamp_now(void);
/* The name for the stamp; moves the stamp on, so that the next try is another name. */
void trash_name(char *name, struct trash_stamp *stamp, struct bytes base);

int write_full(int fd, const void *p, size_t len);
/* Renames to a name that must be free: -EEXIST. */
int rename_new(int from_dir, const char *from, int to_dir, const char *to);

#endif
