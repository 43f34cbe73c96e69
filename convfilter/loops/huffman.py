"""Huffman codes of a sequential JPEG: rows of MCUs are copied so that a decoder can decode them as a picture.

The codes of a picture follow each other without gaps, and a DC coefficient is coded as its difference from the one
before it. A decoder can begin at a row of MCUs only if its codes begin at a byte, and its first differences count from
0. The loop here reads codes only to find where they end: it decodes no coefficients but the DC, and finds several short
codes at once in a lookup table. ITU-T T.81, annexes C and F.
"""

from __future__ import annotations

import numpy as np

#: A table begins with an entry for each sequence of this number of bits.
_BITS = 12
#: Then follow, for each length of a code from 0 to 16, the first sequence of 16 bits behind the codes of this length,
#: and the difference between the index of a symbol and its code of this length; then the symbols.
_LIMITS = 1 << _BITS
_BASES = _LIMITS + 17
_SYMBOLS = _BASES + 17
#: Number of values of a table.
TABLE_SIZE = _SYMBOLS + 256
#: Number of categories of DC differences at 8 bits per sample; for each, ``codes`` holds the code and, before it, its
#: length.
CATEGORIES = 12
#: Number of values of ``state``, and the indices of the last DC coefficients of up to four components in it: those
#: before the row at which the next call begins, and those of the row that is being copied.
STATE_SIZE = 13
_KEPT_DC = 5
_DC = 9
#: The lowest 5 bits of an entry are the number of bits of all codes found, with the bits of coefficients behind them.
#: Above follows for DC the category; for AC the number of coefficients (7 bits) and, in this bit, whether the block
#: ends, which counts as a coefficient.
_ENDS = 1 << 12
#: A number of coefficients that no block has, for a code that must be found by its length.
_RARE = 127 << 5
_LAST = 63


def fill_table(counts, symbols, is_ac, table):
    """Fill a table: ``counts`` holds the number of codes of each length from 1 to 16, ``symbols`` the symbols by code.

    The codes of one length are consecutive numbers.
    """
    code = np.int64(0)
    total = np.int64(0)
    for length in range(1, 17):
        table[_BASES + length] = (total - code) & 0xFFFF
        count = np.int64(counts[length - 1])
        code += count
        total += count
        table[_LIMITS + length] = code << (16 - length)
        code <<= 1
    for index in range(total):
        table[_SYMBOLS + index] = symbols[index]
    for index in range(1 << _BITS):
        bits = index << (16 - _BITS)
        entry = _RARE if is_ac else 0
        used = 0
        coefficients = 0
        while used < _BITS:
            found = _found(table, 0, bits << used & 0xFFFF)
            symbol = found >> 5
            length = found & 31
            extra = symbol & 15
            if found < 0 or used + length > _BITS:
                break
            if not is_ac:
                entry = symbol << 5 | length if symbol < CATEGORIES else 0
                break
            if symbol == 0:
                entry = _ENDS | (coefficients + 1) << 5 | (used + length)
                break
            coefficients += (symbol >> 4) + 1
            if (extra == 0 and symbol >> 4 != 15) or coefficients > _LAST:
                break
            used += length + extra
            entry = coefficients << 5 | used
        table[index] = entry
    return 0


def copy_rows(data, end, scan, tables, codes, state, rows, kept_rows, out):
    """Copy ``rows`` rows of MCUs as the codes of a picture; return the number of bytes written, -1 for damaged codes.

    ``data`` ends at ``end`` or at a marker. ``scan`` holds the number of MCUs in a row and of blocks in an MCU, then
    for each block its component, whether it is the component's first, and the index of its tables for DC and AC in
    ``tables``. ``codes`` holds the codes of DC categories for each component. ``state`` is the position from which the
    loop copies: at first the offset of the codes in ``data``, and zeros. A call moves it to the end of the
    first ``kept_rows`` rows.
    """
    at = state[0]
    window = np.uint64(state[1]) << np.uint64(32) | np.uint64(state[2])  # the next bits, highest first
    left = state[3]  # number of bits in the window
    missing = state[4]  # number of these that are zeros behind the end of the data
    for component in range(4):
        state[_DC + component] = state[_KEPT_DC + component]
    pending = np.uint64(0)  # bits to be written, highest first
    count = 0
    to = 0
    copied = window  # the window before the codes that have been read but not copied
    had = left  # number of bits in it
    # A byte is 0xFF if it has the high bit, and its low bits plus one have it, too.
    ones = np.uint64(0x0101010101010101)
    low_bits = np.uint64(0x7F7F7F7F7F7F7F7F)
    high_bits = np.uint64(0x8080808080808080)
    for row in range(rows):
        for mcu in range(scan[0]):
            for block in range(scan[1]):
                component = scan[2 + 4 * block]
                dc = scan[4 + 4 * block]
                ac = scan[5 + 4 * block]
                last = np.int64(-1)  # index of the last coefficient that has been read
                is_rare = False
                while last < _LAST:
                    # The code of _put and _refilled, which are too long for the compiler to inline them here.
                    size = had - left
                    bits = copied >> np.uint64(63 - size) >> np.uint64(1) << np.uint64(63 - size) << np.uint64(1)
                    pending |= bits >> np.uint64(count)
                    count += size
                    whole = count >> 3
                    if (pending & low_bits) + ones & pending & high_bits:
                        to = _stuffed(out, to, pending, whole)
                    else:
                        for byte in range(8):
                            out[to + byte] = pending >> np.uint64(56 - 8 * byte) & np.uint64(0xFF)
                        to += whole
                    pending <<= np.uint64(8 * whole)
                    count &= 7
                    bits = high_bits | low_bits
                    if at + 8 <= end:
                        bits = (
                            np.uint64(data[at]) << np.uint64(56)
                            | np.uint64(data[at + 1]) << np.uint64(48)
                            | np.uint64(data[at + 2]) << np.uint64(40)
                            | np.uint64(data[at + 3]) << np.uint64(32)
                            | np.uint64(data[at + 4]) << np.uint64(24)
                            | np.uint64(data[at + 5]) << np.uint64(16)
                            | np.uint64(data[at + 6]) << np.uint64(8)
                            | np.uint64(data[at + 7])
                        )
                    if (bits & low_bits) + ones & bits & high_bits:
                        at, window, left, missing = _refilled(data, at, end, window, left, missing)
                        if missing > 64:
                            return -1
                    else:
                        # Bits of an incomplete byte are added again with the whole byte.
                        window |= bits >> np.uint64(left)
                        at += (63 - left) >> 3
                        left |= 56
                    copied = window
                    had = left
                    if is_rare:
                        is_rare = False
                        found = _found(tables, ac, np.int64(window >> np.uint64(48)))
                        symbol = found >> 5
                        size = (found & 31) + (symbol & 15)
                        window <<= np.uint64(size)
                        left -= size
                        if symbol == 0:
                            break
                        last += (symbol >> 4) + 1
                        if found < 0 or last > _LAST or (symbol & 15 == 0 and symbol != 0xF0):
                            return -1
                        continue
                    if last < 0:
                        found = np.int64(tables[dc + np.int64(window >> np.uint64(64 - _BITS))])
                        if found == 0:
                            found = _found(tables, dc, np.int64(window >> np.uint64(48)))
                            if found < 0 or found >> 5 >= CATEGORIES:
                                return -1
                        category = found >> 5
                        size = category + (found & 31)
                        value = np.int64(window << np.uint64(found & 31) >> np.uint64(1) >> np.uint64(63 - category))
                        value -= (1 << category) - 1 if value < 1 << category >> 1 else 0
                        state[_DC + component] += value
                        window <<= np.uint64(size)
                        left -= size
                        last = np.int64(0)
                        if row + mcu == 0 and scan[3 + 4 * block]:
                            value = state[_DC + component]
                            magnitude = abs(value)
                            category = np.int64(0)
                            while magnitude >> category:
                                category += 1
                            if category >= CATEGORIES:
                                return -1
                            place = 2 * (CATEGORIES * component + category)
                            value += (1 << category) - 1 if value < 0 else 0
                            size = codes[place] + category
                            bits = np.uint64(codes[place + 1] << category | value) << np.uint64(64 - size)
                            to, pending, count = _put(out, to, pending, count, bits, size)
                            copied = window
                            had = left
                    else:
                        entry = np.int64(tables[ac + np.int64(window >> np.uint64(64 - _BITS))])
                        after = last + (entry >> 5 & 127)
                        if after > _LAST:
                            is_rare = True
                            continue
                        window <<= np.uint64(entry & 31)
                        left -= entry & 31
                        last = after
                        if entry >= _ENDS or last == _LAST:
                            break
                    entry = np.int64(tables[ac + np.int64(window >> np.uint64(64 - _BITS))])
                    after = last + (entry >> 5 & 127)
                    if after > _LAST:
                        is_rare = True
                        continue
                    window <<= np.uint64(entry & 31)
                    left -= entry & 31
                    last = after
                    if entry >= _ENDS:
                        break
        if left < missing:
            return -1
        if row + 1 == kept_rows:
            state[0] = at
            state[1] = np.int64(window >> np.uint64(32))
            state[2] = np.int64(window & np.uint64(0xFFFFFFFF))
            state[3] = left
            state[4] = missing
            for component in range(4):
                state[_KEPT_DC + component] = state[_DC + component]
    to, pending, count = _put(out, to, pending, count, copied, had - left)
    if count > 0:
        pending |= np.uint64((1 << (8 - count)) - 1) << np.uint64(56)
        to = _stuffed(out, to, pending, 1)
    return to


def _found(tables, table, bits):
    """Return symbol << 5 | length of the code with which 16 bits begin, or -1 if no code matches."""
    length = 1
    while length < 17 and bits >= tables[table + _LIMITS + length]:
        length += 1
    if length == 17:
        return -1
    index = (np.int64(tables[table + _BASES + length]) + (bits >> (16 - length))) & 0xFFFF
    return np.int64(tables[table + _SYMBOLS + index]) << 5 | length


def _refilled(data, at, end, window, left, missing):
    """Fill a window byte by byte to 56 bits or more, and skip the zero behind each 0xFF."""
    while left < 56:
        if at < end and data[at] != 0xFF:
            window |= np.uint64(data[at]) << np.uint64(56 - left)
            at += 1
        elif at + 1 < end and data[at + 1] == 0:
            window |= np.uint64(0xFF) << np.uint64(56 - left)
            at += 2
        else:
            missing += 8
        left += 8
    return at, window, left, missing


def _put(out, to, pending, count, bits, size):
    """Append the first ``size`` of ``bits``, at most 56, to fewer than 8 pending bits, and write whole bytes."""
    # Two shifts, since a shift by 64 bits is undefined.
    pending |= bits >> np.uint64(63 - size) >> np.uint64(1) << np.uint64(63 - size) << np.uint64(1) >> np.uint64(count)
    count += size
    to = _stuffed(out, to, pending, count >> 3)
    return to, pending << np.uint64(count & 56), count & 7


def _stuffed(out, to, bits, size):
    """Write the first ``size`` bytes of ``bits``, with a zero behind each 0xFF; return the index behind them."""
    for byte in range(size):
        value = bits >> np.uint64(56 - 8 * byte) & np.uint64(0xFF)
        out[to] = value
        to += 1
        if value == np.uint64(0xFF):
            out[to] = 0
            to += 1
    return to
