from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp.test_utils import TestServer

from app.cli.bench.client import ChatClient, open_session
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
async def client_for(url: str) -> AsyncIterator[ClientFor]:
    """Make a client of the fake server."""
    async with open_session("secret", timeout=5) as session:

        def make(*, ignore_eos: bool = True) -> ChatClient:
            return ChatClient(session, url, "fake", ignore_eos=ignore_eos)

        yield make
