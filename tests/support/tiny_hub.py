"""A hub that has one small model, which the server knows by a short name."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.catalog import orders
from scripts.make_gguf import write_tiny_llama
from tests.support.hub import REPOSITORY, Hub, Stored, run_hub

NAME = "tiny-1b"


@contextmanager
def run_tiny_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Hub]:
    """`NAME` is the file `m.gguf` of the repository."""
    monkeypatch.setattr(orders, "short_names", lambda: {NAME: f"hf://{REPOSITORY}/m.gguf"})
    path = folder / "origin.bin"
    write_tiny_llama(path)
    with run_hub() as running:
        running.files["m.gguf"] = Stored(path.read_bytes())
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running
