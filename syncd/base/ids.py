"""Names and ids derived from other names: pure arithmetic, the same on every replica."""

from __future__ import annotations

_FNV32_OFFSET = 0x811C9DC5
_FNV32_PRIME = 0x01000193


def fnv32a(text: str) -> int:
    """The 32-bit FNV-1a hash of the UTF-8 of `text`, as Go's hash/fnv.

    >>> fnv32a("hello")
    1335831723
    """
    value = _FNV32_OFFSET
    for byte in text.encode():
        value = ((value ^ byte) * _FNV32_PRIME) & 0xFFFFFFFF
    return value
