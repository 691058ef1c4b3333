"""Who answers: the server that runs, or an engine in this process."""

from collections.abc import Generator
from contextlib import contextmanager

from app.cli.names import DEFAULT_MODEL
from app.cli.refusal import Refusal
from app.cli.remote import Json, Remote, ServerError
from app.cli.target import Where, find_remote, load_store_settings, refusing


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
        if error.status != 404 or where.url is not None or not _is_here(model):
            raise
        raise Refusal(
            f"the server at {remote.address.url} has no model '{model}', but this machine has: "
            f"--models-dir runs it without the server"
        ) from None


def _is_here(model: str) -> bool:
    from app.cli.store import Store  # noqa: PLC0415
    from app.core.errors import CorralError  # noqa: PLC0415

    try:
        Store(load_store_settings(Where())).entry(model)
    except CorralError:
        return False
    return True


@contextmanager
def _start_engine(where: Where, model: str) -> Generator[Remote]:
    from app.cli.store import Store  # noqa: PLC0415

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
