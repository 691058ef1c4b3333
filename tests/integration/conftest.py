from collections.abc import AsyncIterator

import pytest

from tests.support.wire import Connection


@pytest.fixture(autouse=True)
async def close_connections() -> AsyncIterator[None]:
    """A test that fails leaves no connection behind that would disturb the next one."""
    yield
    for connection in list(Connection.all_open):
        await connection.close()
