"""API keys: `Authorization: Bearer` or `x-api-key`, compared in constant time."""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.context import context_of
from app.api.errors import error_response
from app.core.errors import ConfigurationError, InvalidApiKey

_KEY_ID_LENGTH = 8
_COMMENT = re.compile(r"(^|\s)#.*")


class KeyRing:
    """The keys that are let in, kept as digests. Without any, everybody is."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple({sha256(key.encode()).digest() for key in keys})

    @property
    def is_open(self) -> bool:
        return not self._digests

    def find(self, key: str) -> str | None:
        """A short name of the key for logs, None for a wrong one. Every key is compared."""
        digest = sha256(key.encode(errors="surrogateescape")).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return digest.hex()[:_KEY_ID_LENGTH] if any(matches) else None


def make_key_ring(key: SecretStr | None, path: Path | None) -> KeyRing:
    """The keys of the settings and of their file. Raises ConfigurationError.

    A key or a file that turns out empty must not open the door that it was meant to close.
    """
    keys: list[str] = []
    if key:
        keys.append(key.get_secret_value().strip())
        if not keys[0]:
            raise ConfigurationError("LLM_API_KEY: there is nothing but white space in it")
    if path is not None:
        found = read_keys(path)
        if not found:
            raise ConfigurationError(f"LLM_API_KEYS_FILE={path}: there is no key in this file")
        keys += found
    return KeyRing(keys)


def read_keys(path: Path) -> list[str]:
    """One key a line; `#` starts a comment there or after white space.

    Raises ConfigurationError.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The API keys file {path} cannot be read: {error}") from error
    keys = [_COMMENT.sub("", line).strip() for line in lines]
    return [key for key in keys if key]


class AuthMiddleware:
    """Refuses requests without a known key, `open_paths` and CORS preflights excepted."""

    def __init__(self, app: ASGIApp, *, keys: KeyRing, open_paths: frozenset[str]) -> None:
        self._app = app
        self._keys = keys
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_exempt(scope):
            await self._app(scope, receive, send)
            return
        key = _key_in(Headers(scope=scope))
        found = self._keys.find(key) if key else None
        context = context_of(scope)
        if found is None:
            error = InvalidApiKey(_explain(key))
            context.error_code = error.code
            await error_response(error)(scope, receive, send)
            return
        context.key_id = found
        await self._app(scope, receive, send)

    def _is_exempt(self, scope: Scope) -> bool:
        return (
            scope["type"] != "http"
            or self._keys.is_open
            or scope["method"] == "OPTIONS"
            or scope["path"] in self._open_paths
        )


def _key_in(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (key := _read_text(token)):
        return key
    return _read_text(headers.get("x-api-key", ""))


def _read_text(value: str) -> str:
    """Headers are read as Latin-1, which is what some clients write; the others write UTF-8."""
    try:
        return value.encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        return value.strip()


def _explain(key: str) -> str:
    if key:
        return "Incorrect API key provided."
    return "You did not provide an API key. Send it as 'Authorization: Bearer KEY'."
