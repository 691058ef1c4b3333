"""Deleting, copying and naming models on disk, while others are served."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.catalog.blobs import BlobStore, parse_digest
from app.catalog.entries import ModelEntry
from app.catalog.file_pins import FilePins, Pinned
from app.catalog.gguf import GgufError, read_header
from app.catalog.hub_names import is_exact_name
from app.catalog.store import ModelStore, find_endings
from app.chat.compiled import CompiledTemplate
from app.config.manifest import Traits, is_template_text
from app.core.errors import BadRequest, ConfigurationError, ModelNotFound, TemplateRefused
from app.pool.refusals import not_downloaded
from app.pool.roster import Changes
from app.services.ports import ModelNames

_LATEST = ":latest"


@dataclass(frozen=True, slots=True)
class _Blob:
    """A file that was sent, and its SHA-256."""

    path: Path
    digest: str


class StorageService:
    """One change at a time. After each the catalog is read again; what it refuses is undone."""

    def __init__(
        self, pool: ModelNames, models_dir: Path, reload: Callable[[], Awaitable[Changes]]
    ) -> None:
        self._pool = pool
        self._store = ModelStore(models_dir)
        self._blobs = BlobStore(models_dir)
        self._pins = FilePins(models_dir)
        self._reload = reload
        self._lock = asyncio.Lock()

    async def reload(self) -> Changes:
        """Read `models.yaml` and the models directory again. Raises ConfigurationError, and then
        everything stays as it is."""
        return await self._reload()

    async def delete(self, name: str) -> None:
        """Delete a model's files. Requests that use it go on to their end.

        Raises ModelNotFound, and BadRequest for what is not ours to delete.
        """
        async with self._lock:
            entry = self._pool.entry(name)
            is_its_own = name.removesuffix(_LATEST) == entry.id.removesuffix(_LATEST)
            # never another of its repository, where this one was deleted before
            if not is_its_own and not is_exact_name(name, entry):
                raise BadRequest(
                    f"'{name}' is another name of the model '{entry.id}': delete that.",
                    param="model",
                )
            files = self._store.files_of(entry.paths)
            hidden = await asyncio.to_thread(self._store.hide, files)
            try:
                await self._reload()
            except ConfigurationError as error:
                hidden.restore()
                raise BadRequest(
                    f"The model '{entry.id}' is not deleted: {error.message}.", param="model"
                ) from None
            except BaseException:
                hidden.restore()
                raise
            await asyncio.to_thread(hidden.remove)

    async def copy(self, source: str, name: str) -> None:
        """Serve a model's files under another name too, with what is said of it.

        Raises ModelNotFound, and BadRequest for a name that is taken or cannot be one.
        """
        entry = self._here(source)
        traits = _inherit(entry)
        said = traits if traits.model_fields_set else None
        await self._add(name, find_endings(entry.paths), said)

    async def create(self, name: str, place: str) -> None:
        """Serve a file of the models directory under another name too. Raises BadRequest."""
        await self._add(name, find_endings(self._store.find(place)), None)

    async def create_from(self, source: str, name: str, changes: Mapping[str, Any]) -> None:
        """Like a copy, with `changes` to what is said of the model: keys of its entry. It may take
        the place of a model that was made so before.

        Raises ModelNotFound and BadRequest.
        """
        entry = self._here(source)
        traits = await asyncio.to_thread(_change, _inherit(entry), changes)
        await self._add(name, find_endings(entry.paths), traits, can_replace=True)

    async def create_from_blobs(
        self, files: Mapping[str, str], name: str, changes: Mapping[str, Any]
    ) -> None:
        """Serve files that were sent: `files` maps their names to their digests.

        Raises BadRequest, also for files that are no model.
        """
        sent = await asyncio.to_thread(self._find_blobs, files)
        traits = await asyncio.to_thread(_change, Traits(), changes)
        found = {ending: blob.path for ending, blob in sent.items()}
        places = await self._add(name, found, traits, can_replace=True)
        await asyncio.to_thread(self._keep_digests, sent.values(), places)

    async def _add(
        self,
        name: str,
        files: Mapping[str, Path],
        traits: Traits | None,
        *,
        can_replace: bool = False,
    ) -> tuple[Path, ...]:
        async with self._lock:
            plain = name.removesuffix(_LATEST)
            old = self._find(name)
            can_replace = can_replace and old is not None and old.id.removesuffix(_LATEST) == plain
            if old is not None and not (can_replace and self._store.is_made(old.paths)):
                raise BadRequest(f"There is already a model '{name}'.")
            replaced = old.paths if old is not None else ()
            places = await asyncio.to_thread(self._store.copy, files, plain, traits, replaced)
            try:
                await self._reload()
            except ConfigurationError as error:
                if not replaced:  # what another one was before is gone: better this than none
                    hidden = await asyncio.to_thread(self._store.hide, self._store.files_of(places))
                    await asyncio.to_thread(hidden.remove)
                raise BadRequest(f"The model '{name}' cannot be served: {error.message}.") from None
            return places

    def _here(self, name: str) -> ModelEntry:
        """Of a model with an adapter, only its base has files to give."""
        info = self._pool.find(name)
        if info.adapter is not None:
            raise BadRequest(
                f"'{name}' is the model '{info.base}' with an adapter: use that, and name the "
                f"adapter in models.yaml.",
                param="model",
            )
        entry = self._pool.entry(name)
        if not entry.is_here:
            raise not_downloaded(entry.id)
        return entry

    def _find(self, name: str) -> ModelEntry | None:
        try:
            return self._pool.entry(name)
        except ModelNotFound:
            return None

    def _find_blobs(self, files: Mapping[str, str]) -> dict[str, _Blob]:
        """The parts of a model by their endings, in order."""
        found: dict[str, _Blob] = {}
        for name, text in files.items():
            digest = parse_digest(text)
            path = self._blobs.find(digest)
            if path is None:
                raise BadRequest(
                    f"There is no file {text}: send it to /api/blobs/{text} first.",
                    param="files",
                )
            (ending,) = find_endings([Path(name)])
            found[ending] = _Blob(path, digest)
            _check_model(name, path, len(files))
        count = len(files)
        endings = [f"-{number:05d}-of-{count:05d}" for number in range(1, count + 1)]
        if sorted(found) != endings and not (count == 1 and "" in found):
            raise BadRequest(
                "'files' are the parts of one model, named -00001-of-00002.gguf and so on.",
                param="files",
            )
        return dict(sorted(found.items()))

    def _keep_digests(self, blobs: Iterable[_Blob], places: Iterable[Path]) -> None:
        for blob, place in zip(blobs, places, strict=True):
            pinned = Pinned(place.stat().st_size, blob.digest)
            self._pins.write(self._store.place_of(place), pinned)
            self._blobs.drop(blob.path)


def _inherit(entry: ModelEntry) -> Traits:
    """What is said of a model, as far as it holds wherever its file is."""
    said = entry.traits.model_dump(exclude_unset=True, include=set(Traits.model_fields))
    if entry.chat_template is not None:  # whatever file it stood in
        said["chat_template"] = entry.chat_template
    if said.get("speculation") == "model":  # its draft stays behind
        del said["speculation"]
    return Traits.model_validate(said)


def _change(traits: Traits, changes: Mapping[str, Any]) -> Traits:
    said = traits.model_dump(exclude_unset=True)
    sampling = {**said.get("sampling", {}), **changes.get("sampling", {})}
    said.update(changes)
    if sampling:
        said["sampling"] = sampling
    if (template := changes.get("chat_template")) is not None:
        _check_template(template)
    try:
        return Traits.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadRequest(f"{place}: {first['msg']}.", param="parameters") from None


def _check_template(text: str) -> None:
    """A name or a path would be looked up; callers may only send the text itself."""
    reason = "" if is_template_text(text) else "There is nothing to fill in in this one."
    try:
        CompiledTemplate(text)
    except TemplateRefused as refusal:
        reason = refusal.message
    if reason:
        raise BadRequest(
            f"'template' must be a chat template in Jinja, as in the model's file; those of "
            f"Ollama are not read. {reason}",
            param="template",
        )


def _check_model(name: str, path: Path, parts: int) -> None:
    try:
        header = read_header(path)
    except GgufError as error:
        raise BadRequest(f"'{name}' is {error}.", param="files") from None
    if not header.is_model or header.shards != parts:
        raise BadRequest(
            f"'{name}' is no model, or not all of one: it has {header.shards} parts.",
            param="files",
        )
