"""What a command works on: a running server, or the models on this machine."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from app.cli.address import URL_VARIABLE, Address, choose_address, no_server
from app.cli.completions import ModelName
from app.cli.refusal import BadConfiguration, Refusal, refuse
from app.core.errors import CorralError

if TYPE_CHECKING:  # a tenth of a second each, which `--help` need not take
    from app.cli.remote import Remote
    from app.config.settings import Settings

Command = Callable[..., Any]
Json = dict[str, Any]

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Where:
    """What the flags say of server and store."""

    url: str | None = None
    api_key: str | None = None
    models_dir: Path | None = None
    manifest: Path | None = None

    @property
    def names_store(self) -> bool:
        """Whether somebody means files here, whatever a server that runs may have."""
        return self.url is None and not (self.models_dir is None and self.manifest is None)

    @property
    def names_server(self) -> bool:
        """Whether somebody means a server by its address, and nothing else."""
        return not self.names_store and bool(self.url or os.environ.get(URL_VARIABLE))


class Models(Protocol):
    """The models of a server, or on this machine.

    A method raises Refusal or CorralError, whose message ends the command in one line.
    """

    def rows(self) -> list[Json]:
        """As `/v1/models` has them."""
        ...

    def row(self, name: str) -> Json: ...

    def card(self, name: str) -> Json:
        """As `/api/show` has it."""
        ...

    def delete(self, name: str) -> None: ...

    def copy(self, source: str, name: str) -> None: ...


def server_options(command: Command) -> Command:
    """Which server; the command gets it as `where`."""
    return _with_server(_packed(command))


def where_options(command: Command) -> Command:
    """Which server, and which models for want of one; the command gets it as `where`."""
    directory = click.option(
        "--models-dir", type=_PATH, help="The models in this directory, whatever server runs."
    )
    manifest = click.option(
        "--manifest", type=_PATH, help="The models of this models.yaml, whatever server runs."
    )
    return _with_server(directory(manifest(_packed(command))))


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")(
        command
    )


def model_argument(name: str = "model", **settings: Any) -> Callable[[Command], Command]:
    """A model's name, which shells complete."""
    return click.argument(name, type=ModelName(), **settings)


@contextmanager
def open_models(where: Where) -> Generator[Models]:
    """Those of the server that runs, else those on this machine. Raises Refusal."""
    with refusing():
        if not where.names_store:
            with find_remote(where) as remote:
                if remote is not None:
                    yield remote
                    return
        from app.cli.store import Store  # noqa: PLC0415

        yield Store(load_store_settings(where))


@contextmanager
def find_remote(where: Where) -> Generator["Remote | None"]:
    """The server that runs; None where there is none, and none was named."""
    with refusing():
        address = choose_address(where.url, where.api_key)
    remote = _connect(address)
    if remote is None and address.is_chosen:
        raise no_server(address)
    try:
        yield remote
    finally:
        if remote is not None:
            remote.close()


@contextmanager
def need_remote(where: Where) -> Generator["Remote"]:
    """Raises Refusal where no server runs."""
    with find_remote(where) as remote:
        if remote is None:
            raise no_server(choose_address(where.url, where.api_key))
        yield remote


def load_store_settings(where: Where) -> "Settings":
    """The settings, with the flags over them. Raises ConfigurationError."""
    from app.config.settings import load_settings  # noqa: PLC0415

    given = {"models_dir": where.models_dir, "manifest": where.manifest}
    return load_settings({key: value for key, value in given.items() if value is not None})


@contextmanager
def refusing() -> Generator[None]:
    """Ends the command in one line for what Corral raises on purpose."""
    try:
        yield
    except CorralError as error:
        raise refuse(error) from None


def _with_server(command: Command) -> Command:
    key = click.option("--api-key", metavar="KEY", help="Key of the server.  [LLM_API_KEY]")
    url = click.option(
        "--url",
        metavar="URL",
        help=f"Address of a server; by default that of `corral serve` here.  [{URL_VARIABLE}]",
    )
    return url(key(command))


def _packed(command: Command) -> Command:
    @wraps(command)
    def call(
        *,
        url: str | None,
        api_key: str | None,
        models_dir: Path | None = None,
        manifest: Path | None = None,
        **others: Any,
    ) -> Any:
        if url is not None and not (models_dir is None and manifest is None):
            raise BadConfiguration(
                "--url means the models of a server, --models-dir and --manifest those of this "
                "machine: give one or the other"
            )
        return command(where=Where(url, api_key, models_dir, manifest), **others)

    return call


def _connect(address: Address) -> "Remote | None":
    """None where nobody listens. Raises Refusal for a named address of somebody else."""
    if not address.is_listening:
        return None
    from app.cli.remote import Remote  # noqa: PLC0415

    remote = Remote(address)
    if remote.is_corral:
        return remote
    remote.close()
    if address.is_chosen:
        raise Refusal(f"what answers at {address.url} is not Corral")
    return None
