from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp.test_utils import TestServer

from app.cli.bench.client import ChatClient
from app.cli.bench.http import Server
from tests.unit.cli.bench.fake_server import FakeServer


@pytest.fixture
def server() -> FakeServer:
    """What the server does; tests change it before they send."""
    return FakeServer()


@pytest.fixture
async def url(server: FakeServer) -> AsyncIterator[str]:
    async with TestServer(server.app()) as running:
        yield str(running.make_url("")).rstrip("/")


ClientFor = Callable[..., ChatClient]


@pytest.fixture
def client_for(url: str) -> ClientFor:
    """Make a client of the fake server."""
    server = Server(url, "secret", timeout=5)

    def make(*, ignore_eos: bool = True, logprobs: bool = False) -> ChatClient:
        return ChatClient(server, "fake", ignore_eos=ignore_eos, logprobs=logprobs)

    return make
