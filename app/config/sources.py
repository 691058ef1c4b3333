"""Where a model file comes from when it is not here: `hf://` and `https://`, and where it goes.

Models in several files are named `name-00001-of-00003.gguf` and so on.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

SCHEMES = ("hf", "https", "http")
_HUB = re.compile(
    r"hf://(?P<owner>\w[\w.-]*)/(?P<repo>\w[\w.-]*)/(?P<file>[^@?#]+?)(?:@(?P<revision>[\w./-]+))?"
)
SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})$")
_MAX_PARTS = 1000
_UNSAFE = re.compile(r"[^\w.+@=-]+", re.ASCII)
_MAX_NAME = 150


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file in a repository of models; `revision` is a branch, tag or commit."""

    repository: str
    file: str
    revision: str = "main"

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).name

    @property
    def place(self) -> Path:
        """Where it goes inside the models directory."""
        return _clean((*self.repository.split("/"), *self.file.split("/")))

    def parts(self) -> tuple["HubSource", ...]:
        """A source for each file of a model in parts."""
        folder = PurePosixPath(self.file).parent
        return tuple(replace(self, file=str(folder / name)) for name in part_names(self.name))


@dataclass(frozen=True, slots=True)
class WebSource:
    """A file behind a URL."""

    url: str

    @property
    def name(self) -> str:
        return PurePosixPath(unquote(urlsplit(self.url).path)).name

    @property
    def place(self) -> Path:
        url = urlsplit(self.url)
        return _clean((url.hostname or "", *unquote(url.path).split("/")))

    def parts(self) -> tuple["WebSource", ...]:
        url = urlsplit(self.url)
        folder = PurePosixPath(url.path).parent
        names = part_names(PurePosixPath(url.path).name)
        return tuple(WebSource(url._replace(path=str(folder / name)).geturl()) for name in names)


RemoteSource = HubSource | WebSource


def is_remote(source: str) -> bool:
    """Whether a source is downloaded, by its scheme."""
    return "://" in source and source.split("://", 1)[0].lower() in SCHEMES


def is_within(source: str, prefix: str) -> bool:
    """Whether a source lies below a prefix such as `https://`, `https://HOST/` or `hf://OWNER/`;
    never where its path leads up."""
    leads_up = ".." in unquote(source).replace("\\", "/").split("/")
    return source.startswith(f"{prefix.rstrip('/')}/") and not leads_up


def parse_remote(source: str) -> RemoteSource:
    """Raises ValueError for what is not a source of a GGUF file."""
    if not source.isprintable():
        raise ValueError("a source holds no control characters")
    scheme = source.split("://", 1)[0].lower()
    if scheme == "hf":
        match = _HUB.fullmatch(source)
        if match is None or ".." in match["file"].split("/"):
            raise ValueError(f"{source} is not hf://OWNER/REPO/FILE.gguf[@REVISION]")
        repository = f"{match['owner']}/{match['repo']}"
        found: RemoteSource = HubSource(repository, match["file"], match["revision"] or "main")
    else:
        url = urlsplit(source)
        if url.username is not None or url.password is not None:
            raise ValueError("a source holds no passwords: they would stand in logs")
        _ = url.port  # raises ValueError where it is none
        if not url.hostname:
            raise ValueError(f"{source} names no host")
        found = WebSource(source)
    if not found.name.lower().endswith(".gguf"):
        raise ValueError(f"{source} does not name a .gguf file")
    return found


def shown_source(text: str) -> str:
    """A name or a source as logs may have it: a URL without its password and its query."""
    if "://" not in text:
        return text
    scheme = text.split("://", 1)[0]
    try:
        url = urlsplit(text)
        _ = url.port  # where it is none, a password may stand in its place
    except ValueError:
        return f"{scheme}://"
    return f"{scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def part_names(name: str) -> tuple[str, ...]:
    """The names of all files of a model, from that of one."""
    match = SHARD.match(Path(name).stem)
    if match is None or not 0 < int(match["count"]) <= _MAX_PARTS:
        return (name,)
    stem, count = match["stem"], int(match["count"])
    return tuple(f"{stem}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1))


def find_parts(path: Path) -> tuple[Path, ...]:
    """All files of a model whose first file is `path`, whether they exist or not."""
    return tuple(path.with_name(name) for name in part_names(path.name))


def _clean(parts: tuple[str, ...]) -> Path:
    """A relative path that stays where it is put, whatever the parts are."""
    cleaned = [_UNSAFE.sub("_", part)[-_MAX_NAME:].lstrip(".") for part in parts]
    return Path(*[part for part in cleaned if part])
