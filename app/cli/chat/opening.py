"""Who answers: the server that runs, or an engine in this process."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from app.cli.names import DEFAULT_MODEL
from app.cli.refusal import Refusal
from app.cli.remote import Json, Remote, ServerError
from app.cli.store import Store
from app.cli.target import Where, find_remote, load_store_settings, refusing
from app.core.errors import CorralError


@contextmanager
def open_chat(where: Where, model: str, keep_alive: float | None) -> Generator[tuple[Remote, Json]]:
    """A connection to whoever has the model, and the model as `/v1/models` has it.

    Raises Refusal, in one line, where nobody has it.
    """
    if not where.names_store:
        with find_remote(where) as remote:
            if remote is not None:
                yield from _with_model(remote, _find(remote, where, model), keep_alive)
                return
    with _start_engine(where, model) as remote:
        yield from _with_model(remote, remote.row(model), None)


def _with_model(
    remote: Remote, row: Json, keep_alive: float | None
) -> Generator[tuple[Remote, Json]]:
    """`keep_alive` holds from the first answer on; with 0 the model leaves at the end."""
    if keep_alive:
        remote.load(row["id"], -1 if keep_alive == float("inf") else keep_alive)
    yield remote, row
    if keep_alive == 0:
        remote.unload(row["id"])


def _find(remote: Remote, where: Where, model: str) -> Json:
    """Says so where the server does not have what is on this machine."""
    try:
        return remote.row(model)
    except ServerError as error:
        folder = _find_here(model) if error.status == 404 and where.url is None else None
        if folder is None:
            raise
        raise Refusal(
            f"the server at {remote.address.url} has no model '{model}', but this machine has it: "
            f"`--models-dir {folder}` runs it without the server"
        ) from None


def _find_here(model: str) -> Path | None:
    """The models directory here, where that is what has the model."""
    try:
        settings = load_store_settings(Where())
        Store(settings).entry(model)
    except CorralError:
        return None
    return settings.models_dir


@contextmanager
def _start_engine(where: Where, model: str) -> Generator[Remote]:
    with refusing():
        settings = load_store_settings(where)
        if model != DEFAULT_MODEL:
            model = Store(settings).entry(model).id
    from app.cli.chat.local import serve_here  # noqa: PLC0415  # llama.cpp: half a second and more

    with serve_here(settings, model) as address:
        remote = Remote(address)
        try:
            yield remote
        finally:
            remote.close()
