/* How people want the table: which columns, and sizes in which units; and the dialog to choose. */
#ifndef TUTTI_SETUP_H
#define TUTTI_SETUP_H

#include "format.h"
#include "lines.h"

/* One list yields the enum, the names in the remembered file, and the words of the dialog. */
#define SIZE_UNITS(X)                                                                              \
	X(BINARY, "binary", "in steps of 1024: 4.2 MiB")                                           \
	X(DECIMAL, "decimal", "in steps of 1000: 4.4 MB")                                          \
	X(BYTES, "bytes", "to the byte: 4,404,019")

enum size_units {
#define X(id, name, words) UNITS_##id,
	SIZE_UNITS(X)
#undef X
	SIZE_UNITS_N
};

/* Zero-initialised is how it is without a choice. */
struct setup {
	enum size_units units;
	unsigned hidden; /* columns that are not shown: bits by enum column */
};

/* A size, and how much of it is done, in those units. */
void setup_size(enum size_units u, char out[40], uint64_t bytes, enum format_style style);
void setup_progress(enum size_units u, char out[72], uint64_t done, uint64_t total);

/* One `key=value` of the remembered file; what is not understood changes nothing. */
void setup_take(struct setup *s, struct bytes key, struct bytes value);
/* Appends its lines of that file. */
void setup_write(const struct setup *s, struct buf *out);

struct model;
void setup_lines(const struct model *m, struct lines *out, int width);
bool setup_key(struct model *m, uint32_t key);

#endif
