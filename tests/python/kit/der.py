"""The part of DER that certificates and OCSP requests need, written and read."""

from __future__ import annotations

from collections.abc import Iterator

NULL = b"\x05\x00"


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def octets(content: bytes) -> bytes:
    return tlv(4, content)


def integer(number: int) -> bytes:
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def bits(content: bytes) -> bytes:
    return tlv(3, b"\0", content)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        content += bytes(reversed(groups))
    return tlv(6, content)


def extension(kind: str, content: bytes, critical: bool = False) -> bytes:
    return sequence(oid(kind), b"\x01\x01\xff" if critical else b"", octets(content))


def values(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Reads consecutive values: the tag and the content of each."""
    while content:
        tag, length, content = content[0], content[1], content[2:]
        if length & 0x80:
            count = length & 0x7F
            length, content = int.from_bytes(content[:count], "big"), content[count:]
        yield tag, content[:length]
        content = content[length:]
