"""The browser UI as files: read once, served from memory with strict headers, open without a key.

`make ui` builds them from `src/` into `dist/`. They hold no data: what they show comes from the
API, which asks for keys as ever.
"""

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

DIST = Path(__file__).with_name("dist")
PAGE = "/index.html"
_ASSETS = "/assets/"
_ENCODINGS = {"br": ".br", "gzip": ".gz"}  # in the order of preference
_KINDS = {".webmanifest": "application/manifest+json", ".js": "text/javascript"}
_FOREVER = "public, max-age=31536000, immutable"  # what has a digest in its name never changes

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text becomes HTML but through these: Svelte's own templates, and the sanitiser.
        "require-trusted-types-for 'script'",
        "trusted-types svelte-trusted-html dompurify",
    )
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_NOT_BUILT = b"""<!doctype html>
<html lang="en"><title>Corral</title>
<h1>Corral is running</h1>
<p>Its API answers here; the browser UI has not been built. Run <code>make ui</code> in the source
tree (it needs Node 20.19 or newer), then start the server again.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class _File:
    """Bytes by content encoding (`identity` always), and how they are described."""

    bodies: Mapping[str, bytes]
    kind: str
    tag: str
    cache: str


@dataclass(frozen=True, slots=True)
class Site:
    """The files of a build by their path; none where nothing was built."""

    files: Mapping[str, _File] = field(default_factory=dict[str, _File])

    @property
    def is_built(self) -> bool:
        return PAGE in self.files

    @property
    def paths(self) -> frozenset[str]:
        """What is open without a key."""
        return frozenset(self.files)

    def routes(self) -> list[Route]:
        """A route for each file at the top, and one for all that have a digest in their name."""
        top = [path for path in self.files if not path.startswith(_ASSETS)]
        return [
            Route(path, self.send, methods=["GET"]) for path in (*sorted(top), f"{_ASSETS}{{name}}")
        ]

    async def send(self, request: Request) -> Response:
        return self._answer(request, request.url.path)

    def page(self, request: Request) -> Response:
        """The UI's one page, or what to do to have one."""
        if self.is_built:
            return self._answer(request, PAGE)
        headers = {**HEADERS, "cache-control": "no-store"}
        return Response(_NOT_BUILT, headers=headers, media_type="text/html")

    def _answer(self, request: Request, path: str) -> Response:
        file = self.files.get(path)
        if file is None:
            raise HTTPException(404)
        headers = {
            **HEADERS,
            "cache-control": file.cache,
            "etag": file.tag,
            "vary": "accept, accept-encoding",
        }
        if file.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        encoding = _choose_encoding(request.headers, file)
        if encoding != "identity":
            headers["content-encoding"] = encoding
        return Response(file.bodies[encoding], headers=headers, media_type=file.kind)


def read_site(root: Path = DIST) -> Site:
    """What `make ui` left in `root`."""
    suffixes = tuple(_ENCODINGS.values())
    found = [path for path in sorted(root.rglob("*")) if path.is_file()]
    plain = [path for path in found if path.suffix not in suffixes]
    return Site({f"/{path.relative_to(root).as_posix()}": _read(path, root) for path in plain})


def _read(path: Path, root: Path) -> _File:
    bodies = {"identity": path.read_bytes()}
    for encoding, suffix in _ENCODINGS.items():
        packed = path.with_name(path.name + suffix)
        if packed.is_file():
            bodies[encoding] = packed.read_bytes()
    kind = _KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    is_hashed = f"/{path.relative_to(root).as_posix()}".startswith(_ASSETS)
    return _File(
        bodies=bodies,
        kind=kind or "application/octet-stream",
        tag=f'"{sha256(bodies["identity"]).hexdigest()[:32]}"',
        cache=_FOREVER if is_hashed else "no-cache",
    )


def _choose_encoding(headers: Headers, file: _File) -> str:
    """The best packing that the client takes. `q=0` says no to one; other weights are not read."""
    asked = [part.replace(" ", "") for part in headers.get("accept-encoding", "").split(",")]
    taken = {part.partition(";")[0] for part in asked if not part.endswith((";q=0", ";q=0.0"))}
    return next((name for name in _ENCODINGS if name in taken and name in file.bodies), "identity")
