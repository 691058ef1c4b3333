"""The keys that are let in, each with the class that its requests have at best."""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from app.core.errors import ConfigurationError
from app.core.options import INTERACTIVE, MAX_PRIORITY, PRIORITY_CLASSES

_KEY_ID_LENGTH = 8
_COMMENT = re.compile(r"(^|\s)#.*")
_OPTION = "priority="
_OPTIONS = f"priority=interactive, priority=batch or priority= and a number, 0 to {MAX_PRIORITY}"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is let in. None of its requests gets a smaller number than `priority`."""

    secret: str = field(repr=False)
    priority: int = INTERACTIVE


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Who a known key belongs to: `id` is a short digest of it, for logs and fairness."""

    id: str
    priority: int


class KeyRing:
    """The keys, kept as digests. Without any, everybody is let in."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._priorities = {sha256(key.secret.encode()).digest(): key.priority for key in keys}

    @property
    def is_open(self) -> bool:
        return not self._priorities

    def find(self, secret: str) -> KeyHolder | None:
        """None for a wrong key. Every key is compared."""
        digest = sha256(secret.encode(errors="surrogateescape")).digest()
        matches = [known for known in self._priorities if hmac.compare_digest(digest, known)]
        if not matches:
            return None
        return KeyHolder(digest.hex()[:_KEY_ID_LENGTH], self._priorities[digest])


def make_key_ring(key: SecretStr | None, path: Path | None) -> KeyRing:
    """The keys of the settings and of their file. Raises ConfigurationError.

    A key or a file that turns out empty must not open the door that it was meant to close.
    """
    keys: list[Key] = []
    if key:
        keys.append(Key(key.get_secret_value().strip()))
        if not keys[0].secret:
            raise ConfigurationError("LLM_API_KEY: there is nothing but white space in it")
    if path is not None:
        found = read_keys(path)
        if not found:
            raise ConfigurationError(f"LLM_API_KEYS_FILE={path}: there is no key in this file")
        keys += found  # what the file says of the key above holds
    return KeyRing(keys)


def read_keys(path: Path) -> list[Key]:
    """One key a line, and after it `priority=` where its class is not `interactive`; `#` starts a
    comment at the start of a line or after white space.

    Raises ConfigurationError, which never shows what the file holds.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The API keys file {path} cannot be read: {error}") from error
    keys: list[Key] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        words = _COMMENT.sub("", line).split()
        if not words:
            continue
        place = f"LLM_API_KEYS_FILE={path}, line {number}"
        key = _read_line(words, place)
        if seen.setdefault(key.secret, number) != number:
            raise ConfigurationError(f"{place}: the key of line {seen[key.secret]} again")
        keys.append(key)
    return keys


def _read_line(words: list[str], place: str) -> Key:
    secret, *options = words
    if secret.startswith(_OPTION):
        raise ConfigurationError(f"{place}: a priority without a key before it")
    if not options:
        return Key(secret)
    name, _, value = options[0].partition("=")
    priority = PRIORITY_CLASSES.get(value)
    if priority is None and value.isascii() and value.isdecimal() and len(value) < 10:
        priority = int(value)
    if len(options) > 1 or f"{name}=" != _OPTION or priority is None or priority > MAX_PRIORITY:
        raise ConfigurationError(f"{place}: after a key there may only be {_OPTIONS}")
    return Key(secret, priority)
