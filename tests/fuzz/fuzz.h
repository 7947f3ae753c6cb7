/*
 * What all fuzzers share: the function that each defines, and reading values from the bytes that it is
 * given. A fuzzer ends the program if something is not as the headers promise; libFuzzer looks for bytes
 * that make it so (run.sh), and replay.c feeds those that were found before.
 */
#ifndef TUTTI_FUZZ_H
#define TUTTI_FUZZ_H

#include "base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that are used up from the front; at the end there are zeros. */
struct input {
	const uint8_t *p;
	size_t len;
};

static inline uint8_t input_byte(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->p++;
}

static inline uint64_t input_number(struct input *in, unsigned bytes)
{
	uint64_t v = 0;
	while (bytes--)
		v = v << 8 | input_byte(in);
	return v;
}

/* A length of one byte (or two, if `wide`), and so many bytes, or fewer at the end. */
static inline struct bytes input_bytes(struct input *in, bool wide)
{
	size_t n = (size_t)input_number(in, wide ? 2 : 1);
	if (n > in->len)
		n = in->len;
	struct bytes b = {in->p, n};
	in->p += n;
	in->len -= n;
	return b;
}

/* As an assertion, with optimization or without. */
#define MUST(x) assert(x)

#endif
