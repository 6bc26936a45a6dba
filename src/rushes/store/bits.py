"""Which members of a chunk have a term: a number with a bit for each, and how a row keeps it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_FEW = 64
"""Up to so many members are told one by one, in two bytes each, behind a 0; more of them by a map behind a 1."""


def stored(bits: int) -> bytes:
    """The bits as a row keeps them."""
    if (count := bits.bit_count()) <= _FEW:
        return b"\0" + struct.pack(f"<{count}H", *numbers(bits))
    return b"\1" + bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def read(stored: bytes) -> int:
    """The bits a row keeps."""
    if stored[0]:
        return int.from_bytes(stored[1:], "little")
    return of(struct.unpack(f"<{len(stored) // 2}H", stored[1:]))


def of(numbers: Sequence[int]) -> int:
    """The bits of these members."""
    flags = bytearray(max(numbers, default=0) // 8 + 1)
    for number in numbers:
        flags[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(flags, "little")


def numbers(bits: int) -> Iterator[int]:
    """The members that have their bit, the highest first."""
    while bits:
        highest = bits.bit_length() - 1
        yield highest
        bits ^= 1 << highest
