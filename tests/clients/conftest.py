"""What clients are tried against: the shared server, and one whose model follows a script."""

from collections.abc import Iterator

import pytest

from tests.support.server import SCRIPTED, Server, serve

MANIFEST = """
models:
  - {id: corral-tiny, source: "builtin://corral-tiny"}
  - {id: another, source: "builtin://corral-tiny"}
"""
# another environment runs them
collect_ignore = ["python"]


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real service, whose model answers as the user's message says: see `support.script`."""
    folder = tmp_path_factory.mktemp("scripted-server")
    (folder / "models.yaml").write_text(MANIFEST)
    with serve(folder, SCRIPTED, LLM_MAX_LOADED_MODELS="2") as running:
        yield running
    running.assert_no_alarm()
