"""HTTP for large files: ranges, redirects that keep to rules, and what is worth a retry."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

from app import __version__
from app.core.errors import PullFailed

_MAX_REDIRECTS = 10
_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d+)-(?P<end>\d+)/(?P<size>\d+|\*)")
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Interrupted(Exception):
    """The transfer broke off and may be tried again, after `wait` seconds where the server said."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Changed(Exception):
    """The file behind the URL is not the one that was begun."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A file to be had. `headers` go to the URL's own host only, and into no log."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    allows_http: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one version of a file from another. `has_ranges`: parts of it can be asked for."""

    size: int | None
    etag: str | None
    has_ranges: bool

    def is_same_as(self, other: "Identity") -> bool:
        return (self.size, self.etag) == (other.size, other.etag)


def make_client(stall_seconds: float) -> httpx2.AsyncClient:
    """Without redirects of its own; ends a connection that is silent for so long."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(stall_seconds),
        follow_redirects=False,
        headers={"User-Agent": f"corral/{__version__}", "Accept-Encoding": "identity"},
    )


def check_url(url: str, *, allows_http: bool) -> None:
    """Raises PullFailed for anything but https; http is for this machine, or where allowed."""
    parsed = httpx2.URL(url)
    is_plain = parsed.scheme == "http" and (allows_http or parsed.host in _LOCAL)
    if parsed.scheme != "https" and not is_plain:
        raise PullFailed(
            f"{_shown(parsed)} is refused: only https is downloaded (http where "
            f"LLM_PULL_HTTP=true, or from this machine)."
        )


async def identify(client: httpx2.AsyncClient, origin: Origin) -> Identity:
    """Ask for one byte: the answer tells size, version, and whether ranges work.

    Raises PullFailed, and Interrupted where a retry makes sense.
    """
    async with request(client, origin, {"Range": "bytes=0-0"}) as response:
        etag = response.headers.get("ETag")
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status_code == 206 and match is not None and match["size"] != "*":
            return Identity(int(match["size"]), etag, has_ranges=True)
        length = response.headers.get("Content-Length", "")
        size = int(length) if response.status_code == 200 and length.isdecimal() else None
        return Identity(size, etag, has_ranges=False)


@asynccontextmanager
async def stream_range(
    client: httpx2.AsyncClient, origin: Origin, known: Identity, start: int, end: int | None
) -> AsyncGenerator[httpx2.Response]:
    """The answer with the bytes from `start` to before `end`; the body is still to be read.

    Raises Changed when it is another version of the file, Interrupted, and PullFailed.
    """
    headers: dict[str, str] = {}
    if known.has_ranges and end is not None:
        headers["Range"] = f"bytes={start}-{end - 1}"
        if known.etag is not None and not known.etag.startswith("W/"):
            headers["If-Range"] = known.etag
    async with request(client, origin, headers) as response:
        if "Range" in headers:
            match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            is_right = (
                response.status_code == 206
                and match is not None
                and int(match["start"]) == start
                and match["size"] in {str(known.size), "*"}
            )
            if not is_right:
                raise Changed
        if response.headers.get("ETag", known.etag) != known.etag:
            raise Changed
        yield response


@asynccontextmanager
async def request(
    client: httpx2.AsyncClient, origin: Origin, headers: Mapping[str, str]
) -> AsyncGenerator[httpx2.Response]:
    """GET that follows redirects by our rules: see `check_url`; secrets stay with their host."""
    url = httpx2.URL(origin.url)
    for _ in range(_MAX_REDIRECTS):
        check_url(str(url), allows_http=origin.allows_http)
        _check_target(url, httpx2.URL(origin.url))
        sent = {**headers}
        if _is_same_host(url, httpx2.URL(origin.url)):
            sent |= origin.headers
        try:
            async with client.stream("GET", url, headers=sent) as response:
                if response.has_redirect_location:
                    url = url.join(response.headers["Location"])
                    continue
                _check_status(response)
                yield response
                return
        except httpx2.InvalidURL:
            raise PullFailed(f"{_shown(url)} redirects to something that is no URL.") from None
        except httpx2.TransportError as error:
            raise Interrupted(f"{type(error).__name__}: {error}".rstrip(": ")) from None
    raise PullFailed(f"{_shown(url)}: more than {_MAX_REDIRECTS} redirects.")


def _check_target(url: httpx2.URL, origin: httpx2.URL) -> None:
    """No other machine may lead to what only this one can reach."""
    if url.host in _LOCAL and origin.host not in _LOCAL:
        raise PullFailed(f"{_shown(origin)} redirects to this machine, which is refused.")


def _is_same_host(one: httpx2.URL, other: httpx2.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _check_status(response: httpx2.Response) -> None:
    status = response.status_code
    if status in {200, 206}:
        return
    place = _shown(response.url)
    if status in _RETRIED:
        wait = response.headers.get("Retry-After", "")
        raise Interrupted(f"{place} answered {status}", float(wait) if wait.isdecimal() else 0.0)
    if status == 416:
        raise Changed
    if status in {401, 403}:
        raise PullFailed(
            f"{place} answered {status}: it is not public, or its terms are not accepted yet. "
            f"Set HF_TOKEN for the hub."
        )
    if status == 404:
        raise PullFailed(f"{place} answered 404: there is no such file.")
    raise PullFailed(f"{place} answered {status}.")


def _shown(url: httpx2.URL) -> str:
    """A URL without its query, which may be a signature."""
    return str(url.copy_with(query=None, fragment=None, username=None, password=None))
