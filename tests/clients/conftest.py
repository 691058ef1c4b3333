"""What clients are tried against: the shared server, and one whose model follows a script."""

from collections.abc import Iterator

import pytest

from tests.support.server import SCRIPTED, Server, serve

# another environment runs them
collect_ignore = ["python"]


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real service, whose model answers as the user's message says: see `support.script`."""
    with serve(tmp_path_factory.mktemp("scripted-server"), SCRIPTED) as running:
        yield running
    running.assert_no_alarm()
