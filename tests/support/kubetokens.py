"""Tokens of service accounts, made with the API server's own key: the only way to have one that is good for three seconds.

The API itself refuses less than 600. Comes in: a key made here, and whose token it is. Goes out: what a client sends. An
elliptic key needs no library: it is 32 random bytes, and a signature is one multiplication on the curve (P-256, FIPS 186-5).
Never for anything but tests: none of this resists an observer with a clock.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FIELD = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_GENERATOR = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int] | None  # None = the point at infinity


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of ES256."""

    scalar: int

    @classmethod
    def new(cls) -> SigningKey:
        return cls(secrets.randbelow(_ORDER - 1) + 1)

    def pem(self) -> str:
        """RFC 5915 without the optional public key, which Go computes by itself."""
        der = bytes.fromhex("30310201010420") + self.scalar.to_bytes(32, "big")
        der += bytes.fromhex("a00a06082a8648ce3d030107")
        return f"-----BEGIN EC PRIVATE KEY-----\n{base64.encodebytes(der).decode()}-----END EC PRIVATE KEY-----\n"

    def token(self, claims: Mapping[str, Any]) -> str:
        """A JSON web token with these claims."""
        signed = _part({"alg": "ES256", "typ": "JWT"}) + "." + _part(claims)
        digest = int.from_bytes(hashlib.sha256(signed.encode()).digest(), "big")
        while True:
            nonce = secrets.randbelow(_ORDER - 1) + 1
            point = _multiply(_GENERATOR, nonce)
            r = point[0] % _ORDER if point else 0
            s = pow(nonce, -1, _ORDER) * (digest + r * self.scalar) % _ORDER
            if r and s:
                return signed + "." + _text(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def _part(value: Mapping[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _add(left: _Point, right: _Point) -> _Point:
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    if x1 == x2 and (y1 + y2) % _FIELD == 0:
        return None
    if left == right:
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _FIELD) % _FIELD
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, _FIELD) % _FIELD
    x = (slope * slope - x1 - x2) % _FIELD
    return x, (slope * (x1 - x) - y1) % _FIELD


def _multiply(point: _Point, times: int) -> _Point:
    result: _Point = None
    while times:
        if times & 1:
            result = _add(result, point)
        point = _add(point, point)
        times >>= 1
    return result
