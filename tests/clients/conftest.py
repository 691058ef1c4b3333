"""What clients are tried against: the shared server, and one whose model follows a script."""

from collections.abc import Iterator

import pytest

from scripts.make_gguf import write_tiny_llama
from tests.support.hub import Stored, run_hub
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
    """The real service, whose model answers as the user's message says: see `support.script`. Its
    hub has a file for each client that pulls one, as `hf://maker/model/CLIENT.gguf`."""
    folder = tmp_path_factory.mktemp("scripted-server")
    (folder / "models.yaml").write_text(MANIFEST)
    data = write_tiny_llama(folder / "origin.bin").read_bytes()
    with run_hub() as hub:
        hub.files |= {f"{name}.gguf": Stored(data, pace=0.05) for name in ("python", "node")}
        with serve(
            folder, SCRIPTED, LLM_MAX_LOADED_MODELS="2", HF_ENDPOINT=hub.endpoint
        ) as running:
            yield running
    running.assert_no_alarm()
