/* Owns the written form of IDs, and its check characters. */
#include "config.h"
#include "key_id.h"

#include "digest.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

enum {
	VALUES = KEY_ID_GROUP - 1,              /* of a group, without its check */
	DIGITS = KEY_ID_GROUPS * VALUES,        /* of 5 bits */
	TAIL_BITS = 5 * DIGITS - 8 * KEY_ID_SIZE,
};

bool key_id_eq(const struct key_id *a, const struct key_id *b)
{
	return memcmp(a->b, b->b, KEY_ID_SIZE) == 0;
}

/* In the field of 32 elements, by x^5 + x^2 + 1: its element 2 has 31 different powers. */
static unsigned twice(unsigned v)
{
	v <<= 1;
	return v & 32 ? v ^ 0x25 : v;
}

/* Each value counts with a power of 2 of its own (the check itself with 1), so no change of one
 * value and no exchange of two leaves the sum. */
static unsigned check_of(const uint8_t values[VALUES])
{
	unsigned sum = 0;
	for (size_t i = 0; i < VALUES; i++)
		sum = twice(sum ^ values[i]);
	return sum;
}

/* The ID and the first bits of its hash, five bits a digit. */
static void digits_of(uint8_t digits[DIGITS], const struct key_id *id)
{
	uint8_t hash[HASH_SIZE], all[KEY_ID_SIZE + (TAIL_BITS + 7) / 8];
	digest_once(id->b, KEY_ID_SIZE, hash);
	memcpy(all, id->b, KEY_ID_SIZE);
	memcpy(all + KEY_ID_SIZE, hash, sizeof(all) - KEY_ID_SIZE);
	for (size_t i = 0; i < DIGITS; i++) {
		unsigned v = 0;
		for (size_t bit = 5 * i; bit < 5 * i + 5; bit++)
			v = v << 1 | (unsigned)(all[bit / 8] >> (7 - bit % 8) & 1);
		digits[i] = (uint8_t)v;
	}
}

void key_id_write(char out[KEY_ID_TEXT + 1], const struct key_id *id)
{
	uint8_t digits[DIGITS];
	digits_of(digits, id);
	for (size_t g = 0; g < KEY_ID_GROUPS; g++) {
		const uint8_t *values = digits + g * VALUES;
		for (size_t i = 0; i < VALUES; i++)
			*out++ = alphabet[values[i]];
		*out++ = alphabet[check_of(values)];
		*out++ = g + 1 < KEY_ID_GROUPS ? '-' : '\0';
	}
}

/* 0 to 31, or -1. */
static int value_of(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		c = (uint8_t)(c - 'a' + 'A');
	if (c == '0')
		c = 'O';
	else if (c == '1')
		c = 'I';
	else if (c == '8')
		c = 'B';
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

static bool same_digits(const struct key_id *id, const uint8_t digits[DIGITS])
{
	uint8_t right[DIGITS];
	digits_of(right, id);
	return memcmp(right, digits, DIGITS) == 0;
}

bool key_id_read(struct bytes text, struct key_id *id, struct buf *problem)
{
	uint8_t values[KEY_ID_GROUPS][KEY_ID_GROUP], digits[DIGITS];
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '-' || text.p[i] == ' ')
			continue;
		int v = value_of(text.p[i]);
		if (v < 0) {
			buf_addf(problem, "an ID has letters and the digits 2 to 7 only");
			return false;
		}
		if (n < KEY_ID_GROUPS * KEY_ID_GROUP)
			values[n / KEY_ID_GROUP][n % KEY_ID_GROUP] = (uint8_t)v;
		n++;
	}
	/* A group that is wrong in itself is told even if another lacks a character behind it. */
	size_t whole = n / KEY_ID_GROUP < KEY_ID_GROUPS ? n / KEY_ID_GROUP : KEY_ID_GROUPS;
	size_t wrong = 0;
	while (wrong < whole && check_of(values[wrong]) == values[wrong][VALUES])
		wrong++;
	if (wrong < whole) {
		buf_addf(problem, "group %zu of the ID is mistyped", wrong + 1);
		return false;
	}
	if (n != KEY_ID_GROUPS * KEY_ID_GROUP) {
		buf_addf(problem, "an ID has %d groups of %d characters, %d in all; these are %zu",
			 KEY_ID_GROUPS, KEY_ID_GROUP, KEY_ID_GROUPS * KEY_ID_GROUP, n);
		return false;
	}
	for (size_t i = 0; i < DIGITS; i++)
		digits[i] = values[i / VALUES][i % VALUES];
	for (size_t i = 0; i < KEY_ID_SIZE; i++) {
		unsigned v = 0;
		for (size_t bit = 8 * i; bit < 8 * i + 8; bit++)
			v = v << 1 | (unsigned)(digits[bit / 5] >> (4 - bit % 5) & 1);
		id->b[i] = (uint8_t)v;
	}
	if (!same_digits(id, digits)) {
		buf_addf(problem, "the ID is mistyped: are its groups in order?");
		return false;
	}
	return true;
}
