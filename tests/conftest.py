"""Fixtures for everything that needs a live server."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from openai import AsyncOpenAI, OpenAI

from scripts.make_gguf import write_encoder, write_tiny_llama
from tests.support.server import WAIT_SECONDS, Server, serve

Start = Callable[..., Server]
"""Starts a server with settings of its own, given as environment variables."""

# The random model's name has what OpenAI's own ids lack: a slash and a colon.
MANIFEST = """
models:
  - id: corral-tiny
    source: builtin://corral-tiny
  - id: lab/random:tiny
    source: models/random.gguf
    aliases: [random]
"""

FOLDER = Path(__file__).parent
# What has the longest files goes first, so that no worker is left with one of them at the end.
ORDER = ("web", "clients", "integration", "llama")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(FOLDER).parts[0]
        return ORDER.index(folder) if folder in ORDER else len(ORDER)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The built-in model first, a random chat model, and a random encoder."""
    folder = tmp_path_factory.mktemp("shared-server")
    (folder / "models").mkdir()
    write_tiny_llama(folder / "models" / "random.gguf")
    write_encoder(folder / "models" / "bert.gguf")
    (folder / "models.yaml").write_text(MANIFEST)
    with serve(folder, LLM_MAX_LOADED_MODELS="3") as running:
        yield running
        assert running.process.poll() is None, running.log[-4000:]
    running.assert_no_alarm()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        servers: list[Server] = []

        def begin(**settings: str) -> Server:
            folder = tmp_path / f"server-{len(servers)}"
            servers.append(stack.enter_context(serve(folder, **settings)))
            return servers[-1]

        yield begin
    for ended in servers:
        ended.assert_no_alarm()


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with connect(server) as made:
        yield made


@pytest.fixture
async def async_client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=server.base_url, api_key="unused", max_retries=0, timeout=WAIT_SECONDS
    ) as made:
        yield made


def connect(server: Server, api_key: str = "unused", max_retries: int = 0) -> OpenAI:
    """OpenAI's own client, which then does not hide an error behind a retry."""
    return OpenAI(
        base_url=server.base_url, api_key=api_key, max_retries=max_retries, timeout=WAIT_SECONDS
    )
