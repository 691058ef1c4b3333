"""Identifiers on the wire: a prefix that names the kind, then enough randomness."""

import secrets
from hashlib import sha256

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"


def make_id(prefix: str, length: int = 24) -> str:
    """`prefix` + `length` random characters, e.g. `chatcmpl-7Fq2...` (over 130 bits at 24)."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def digest_of(name: str) -> str:
    """Sixteen characters that stand for a name which must not be kept itself."""
    return sha256(name.encode()).hexdigest()[:16]
