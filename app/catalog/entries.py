"""What can be served: entries of the manifest, GGUF files found on disk, the built-in model."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from app.catalog.adapters import AdapterFile, find_adapters
from app.catalog.gguf import GgufError, GgufHeader, read_header
from app.config.manifest import (
    BUILTIN_MODEL,
    CHATML,
    Companion,
    Defaults,
    Entry,
    Manifest,
    Traits,
    is_template_text,
    read_manifest,
    resolve_source,
)
from app.config.sidecar import read_sidecar, sidecar_of
from app.config.sources import SHARD, find_parts, is_remote
from app.core.errors import ConfigurationError
from app.core.options import DraftMethod, Pooling, SplitMode
from app.core.requests import SamplingOverrides

BUILTIN_PATH = Path(__file__).parent / "builtin" / f"{BUILTIN_MODEL}.gguf"
NOT_HERE = "is not downloaded yet (corral pull)"
T = TypeVar("T")
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that can be loaded, with everything that was decided about it before.

    `paths` are the parts of the file, the first one first. `size`: bytes that they have, or will.
    `header` is None and `error` says why when the file cannot be used. `is_here`: nothing is left
    to be pulled. `draft` is the model that guesses for this one, `projector` the one that reads
    images; they are served to nobody. `lora` are the adapters that are loaded with it. None
    elsewhere means that the settings decide. `traits`: what the manifest or the file's sidecar says
    of it, without defaults.
    """

    id: str
    paths: tuple[Path, ...]
    size: int
    created: int
    header: GgufHeader | None
    error: str | None = None
    is_here: bool = True
    aliases: tuple[str, ...] = ()
    context_window: int | None = None
    max_output_tokens: int | None = None
    gpu_layers: int | None = None
    devices: tuple[str, ...] | None = None
    split_mode: SplitMode | None = None
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] | None = None
    replicas: int = 1
    max_sequences: int | None = None
    sampling: SamplingOverrides = field(default_factory=SamplingOverrides)
    chat_template: str | None = None
    chat_template_name: str | None = None
    tool_format: str | None = None
    system_prompt: str | None = None
    serves_embeddings: bool = True
    pooling: Pooling | None = None
    sha256: str | None = None
    pin: bool = False
    keep_alive: float | None = None
    warm_after: float | None = None
    speculation: DraftMethod | None = None
    draft_tokens: int | None = None
    draft: "ModelEntry | None" = None
    projector: "ModelEntry | None" = None
    lora: tuple[AdapterFile, ...] = ()
    stop: tuple[str, ...] = ()
    traits: Traits = field(default_factory=Traits, compare=False)

    @property
    def path(self) -> Path:
        """The file that llama.cpp is given; it finds the other parts itself."""
        return self.paths[0]

    @property
    def names(self) -> tuple[str, ...]:
        """All that requests may call it, with or without one of its adapters."""
        plain = (self.id, *self.aliases)
        adapted = (f"{name}:{one.info.name}" for name in plain for one in self.lora)
        return (*plain, *adapted)

    @property
    def companions(self) -> tuple["ModelEntry", ...]:
        """What stands beside it in files of their own."""
        return tuple(one for one in (self.draft, self.projector) if one is not None)

    @property
    def parameters(self) -> int | None:
        """Number of weights; None where the parts were not all read."""
        return self.header.parameters if self.header and len(self.paths) == 1 else None


def read_catalog(path: Path | None, models_dir: Path) -> tuple[Manifest, tuple[ModelEntry, ...]]:
    """The manifest at `path`, empty where that is None, and every model that can be served.

    Raises ConfigurationError.
    """
    manifest = read_manifest(path) if path is not None else Manifest()
    base = path.absolute().parent if path is not None else Path.cwd()
    return manifest, build_catalog(manifest, base, models_dir)


def build_catalog(
    manifest: Manifest, manifest_dir: Path, models_dir: Path, *, discovers: bool = True
) -> tuple[ModelEntry, ...]:
    """Every model that can be served: the manifest's in order, found files by name, the built-in.

    `discovers`: look for files that the manifest does not name. Raises ConfigurationError where the
    manifest names a file that is not there and cannot be pulled, or nothing is left to serve. A
    damaged file stays in the list with its error, so that the others are served.
    """
    entries = [
        _with_adapters(
            _with_template(
                _from_manifest(entry, manifest.defaults, manifest_dir, models_dir),
                manifest.locate("models", index, "chat_template"),
                manifest_dir,
            ),
            manifest,
            index,
            manifest_dir,
            models_dir,
        )
        for index, entry in enumerate(manifest.models)
    ]
    taken_names = {name for entry in entries for name in entry.names}
    taken_paths = {path.resolve() for entry in entries for path in entry.paths}
    taken_paths |= {adapter.path.resolve() for entry in entries for adapter in entry.lora}
    for found in discover(models_dir, manifest.defaults) if discovers else ():
        is_taken = found.id in taken_names or found.path.resolve() in taken_paths
        if not is_taken:
            entries.append(found)
            taken_names.add(found.id)
    if manifest.builtin and BUILTIN_MODEL not in taken_names and BUILTIN_PATH.is_file():
        entries.append(_make_entry(BUILTIN_MODEL, (BUILTIN_PATH,), manifest.defaults))
    if not entries:
        raise ConfigurationError(
            f"no models to serve: put a GGUF file into {models_dir}, name one in models.yaml, "
            f"or allow the built-in model"
        )
    return tuple(entries)


def discover(models_dir: Path, defaults: Defaults) -> Iterator[ModelEntry]:
    """GGUF models under a directory, by path; parts of one model are one entry.

    The id is the path inside the directory without its ending: `qwen/qwen2.5-7b-q4_k_m`.
    """
    if not models_dir.is_dir():
        return
    for path in sorted(models_dir.rglob("*.gguf")):
        match = SHARD.match(path.stem)
        is_later_part = match is not None and int(match["number"]) != 1
        if is_later_part or path.name.lower().startswith("mmproj") or not path.is_file():
            continue
        stem = match["stem"] if match else path.stem
        name = path.relative_to(models_dir).with_name(stem).as_posix()
        if not _is_text(name):  # it could not be written into JSON
            continue
        entry = _from_file(name, find_parts(path), defaults)
        if entry.header is None or entry.header.is_model:
            yield entry


def _from_file(name: str, paths: tuple[Path, ...], defaults: Defaults) -> ModelEntry:
    """A found file, with what stands beside it; a mistake there is an error of this model."""
    place = sidecar_of(paths[0])
    try:
        made = _make_entry(name, paths, defaults, read_sidecar(place))
        return _with_template(made, f"{place}: chat_template", place.parent)
    except ConfigurationError as error:
        made = _make_entry(name, paths, defaults)
        return replace(made, error=made.error or f"is described wrongly: {error.message}")


def _is_text(name: str) -> bool:
    """Whether a file name's bytes were UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _from_manifest(entry: Entry, defaults: Defaults, base: Path, models_dir: Path) -> ModelEntry:
    paths = _find_files(entry.id, entry, base, models_dir)
    made = _make_entry(
        entry.id, paths, defaults, entry, size=entry.size, is_pulled=is_remote(entry.source)
    )
    draft = _make_companion(entry.id, "draft", entry.draft, base, models_dir)
    projector = _make_companion(entry.id, "projector", entry.projector, base, models_dir)
    if projector is not None and projector.header is not None and projector.header.is_model:
        projector = replace(projector, error="is no image projector")
    beside = (("draft", draft), ("projector", projector))
    made = replace(made, draft=draft, projector=projector)
    errors = [
        f"its {kind} {one.path.name} {one.error}" for kind, one in beside if one and one.error
    ]
    return replace(
        made,
        aliases=tuple(entry.aliases),
        sha256=_lower(entry.sha256),
        pin=entry.pin,
        error=made.error or next(iter(errors), None),
        is_here=made.is_here and all(one.is_here for one in made.companions),
    )


def _with_adapters(
    made: ModelEntry, manifest: Manifest, index: int, base: Path, models_dir: Path
) -> ModelEntry:
    adapters = find_adapters(manifest, index, base, models_dir, made.header)
    errors = (f"its adapter {one.path.name} {one.error}" for one in adapters if one.error)
    return replace(
        made,
        lora=adapters,
        error=made.error or next(errors, None),
        is_here=made.is_here and all(one.is_here for one in adapters),
    )


def _make_companion(
    model: str, kind: str, said: Companion | None, base: Path, models_dir: Path
) -> ModelEntry | None:
    if said is None:
        return None
    name = f"{model} ({kind})"
    paths = _find_files(name, said, base, models_dir)
    made = _make_entry(name, paths, Defaults(), is_pulled=is_remote(said.source))
    return replace(made, sha256=_lower(said.sha256))


def _find_files(
    name: str, said: Entry | Companion, base: Path, models_dir: Path
) -> tuple[Path, ...]:
    """The parts of the file that a source names. Raises ConfigurationError where one is absent
    that cannot be pulled."""
    paths = find_parts(resolve_source(said.source, base, models_dir) or BUILTIN_PATH)
    for part in paths:
        if not part.is_file() and not is_remote(said.source):
            raise ConfigurationError(f"model {name}: there is no file {part}")
    if said.sha256 is not None and len(paths) > 1:
        raise ConfigurationError(
            f"model {name}: sha256 is for a model in one file, this one has {len(paths)}"
        )
    return paths


def _make_entry(
    name: str,
    paths: tuple[Path, ...],
    defaults: Defaults,
    said: Traits | None = None,
    *,
    size: int | None = None,
    is_pulled: bool = False,
) -> ModelEntry:
    """An entry from what is said of it, over the manifest's defaults. `size`: bytes that its files
    must have. `is_pulled`: they may still have to be."""
    is_here = not is_pulled or all(path.is_file() for path in paths)
    header, error = _read_headers(paths) if is_here else (None, NOT_HERE)
    found = sum(path.stat().st_size for path in paths if path.is_file())
    if is_here and size not in {None, found}:
        error = f"has {found} bytes, the manifest says {size}"
    said = said or Traits()
    sampling = defaults.sampling.overrides()
    sampling.update(said.sampling.overrides())
    return ModelEntry(
        id=name,
        paths=paths,
        size=found if is_here else size or found,
        created=int(paths[0].stat().st_mtime) if is_here else 0,
        header=header,
        error=error,
        is_here=is_here,
        context_window=_first(said.context_window, defaults.context_window),
        max_output_tokens=_first(said.max_output_tokens, defaults.max_output_tokens),
        gpu_layers=_first(said.gpu_layers, defaults.gpu_layers),
        devices=_tuple(_first(said.devices, defaults.devices)),
        split_mode=_first(said.split_mode, defaults.split_mode),
        main_gpu=_first(said.main_gpu, defaults.main_gpu),
        tensor_split=_tuple(_first(said.tensor_split, defaults.tensor_split)),
        replicas=_first(said.replicas, defaults.replicas) or 1,
        max_sequences=_first(said.max_sequences, defaults.max_sequences),
        sampling=sampling,
        stop=tuple(said.stop),
        tool_format=said.tool_format,
        system_prompt=said.system_prompt,
        serves_embeddings=said.embedding.enabled,
        pooling=said.embedding.pooling,
        keep_alive=_first(said.keep_alive, defaults.keep_alive),
        warm_after=_first(said.warm_after, defaults.warm_after),
        speculation=_first(said.speculation, defaults.speculation),
        draft_tokens=_first(said.draft_tokens, defaults.draft_tokens),
        traits=said,
    )


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _tuple(values: list[T] | None) -> tuple[T, ...] | None:
    return None if values is None else tuple(values)


def _lower(digest: str | None) -> str | None:
    return None if digest is None else digest.lower()


def _read_headers(paths: Sequence[Path]) -> tuple[GgufHeader | None, str | None]:
    """The first part's header, and what is wrong with the first part that is damaged."""
    first: GgufHeader | None = None
    for path in paths:
        try:
            header = read_header(path)
        except GgufError as error:
            where = f"part {path.name}: " if len(paths) > 1 else ""
            return None, f"{where}{error}"
        first = first or header
    if first is not None and first.shards != len(paths):
        return None, f"is one of {first.shards} parts, but its name does not say which"
    return first, None


def _with_template(made: ModelEntry, place: str, base: Path) -> ModelEntry:
    """The entry with what `chat_template` says: a name, the path of a file, or the text itself.
    `place` is where that stands. Raises ConfigurationError."""
    said = made.traits.chat_template
    if said is None:
        return made
    if is_template_text(said):
        return replace(made, chat_template=said)
    if not _TEMPLATE_NAME.fullmatch(said):
        return replace(made, chat_template=_read_template(base / Path(said).expanduser(), place))
    known = list(made.header.chat_templates) if made.header else []
    if said != CHATML and said not in known:
        there = f"the model's file has {', '.join(known)}" if known else "the model's file has none"
        raise ConfigurationError(
            f"{place}: there is no template {said!r}: {there}, and {CHATML} is built in "
            f"(a file needs its ending or ./ before its name)"
        )
    return replace(made, chat_template_name=said)


def _read_template(path: Path, place: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{place}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{place}: {path} is not UTF-8 (byte {error.start})") from None
