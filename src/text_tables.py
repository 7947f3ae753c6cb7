#!/usr/bin/env python3
"""Writes text_tables.h: how a terminal treats each code point.

The properties come from Python's unicodedata; run it again for a newer Unicode:
    python3 src/text_tables.py > src/text_tables.h
"""
import unicodedata

# Default_Ignorable_Code_Point of the Unicode Character Database, which unicodedata lacks:
# characters that are normally not drawn at all.
IGNORABLE = [
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
]
# Vowels and finals of Hangul syllables written in parts: drawn into the cell of the initial.
JAMO_TAIL = [(0x1160, 0x11FF), (0xD7B0, 0xD7FB)]
# Circled numbers and hexagrams: ambiguous or narrow by the property, but drawn, and counted by
# C libraries, as wide.
WIDE_IN_PRACTICE = [(0x3248, 0x324F), (0x4DC0, 0x4DFF)]
BLANKS_KEPT = (0x0020, 0x3000)
BLANK_SYMBOLS = (0x2800,)  # the braille pattern without dots


def within(cp, ranges):
    return any(first <= cp <= last for first, last in ranges)


def group(cp):
    char = chr(cp)
    category = unicodedata.category(char)
    if category in ('Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp') or within(cp, IGNORABLE):
        return 'HIDDEN'
    if (category == 'Zs' and cp not in BLANKS_KEPT) or cp in BLANK_SYMBOLS:
        return 'HIDDEN'
    if category in ('Mn', 'Me') or within(cp, JAMO_TAIL):
        return 'MARK'
    if unicodedata.east_asian_width(char) in ('W', 'F') or within(cp, WIDE_IN_PRACTICE):
        return 'WIDE'
    if category == 'Mc':
        return 'SPACING_MARK'
    return 'NARROW'


def main():
    print('/* Made by text_tables.py from Unicode %s; do not edit. Each run of code points begins'
          % unicodedata.unidata_version)
    print(' * where the one before it ends. Included by text.c only, which defines the groups. */')
    print('#define R(first, group) ((uint32_t)(first) << 3 | (group))')
    print('static const uint32_t runs[] = {')
    line, last = '', None
    for cp in range(0x110000):
        now = group(cp)
        if now == last:
            continue
        item = 'R(0x%04x, %s),' % (cp, now)
        if len(line) + 1 + len(item) > 91:
            print('\t' + line)
            line = ''
        line += (' ' if line else '') + item
        last = now
    print('\t' + line)
    print('};')
    print('#undef R')


if __name__ == '__main__':
    main()
