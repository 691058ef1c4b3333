"""Real GGUF files, made once per session by the project's own generator, on real llama.cpp.

One thread each: the machine may be busy, and OpenMP barriers between starved threads cost seconds.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine.constraint import ConstraintCompiler
from app.llama import library
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.grammar import grammar_tokenizer
from app.llama.model import Model, ModelOptions
from scripts.make_gguf import write_encoder, write_tiny_llama, write_wide_llama
from tests.llama.memory_cases import Zoo

BUILTIN = Path(__file__).parents[2] / "app/catalog/builtin/corral-tiny.gguf"


@pytest.fixture(scope="session", autouse=True)
def llama_log() -> list[tuple[str, str]]:
    """llama.cpp's log lines: (level, text)."""
    lines: list[tuple[str, str]] = []
    library.init(lambda level, text: lines.append((level, text)))
    return lines


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


def loaded(path: Path) -> Iterator[Model]:
    model = Model.load(path, ModelOptions())
    yield model
    model.close()


@pytest.fixture(scope="session")
def builtin_model() -> Iterator[Model]:
    yield from loaded(BUILTIN)


@pytest.fixture(scope="module")
def compiler(builtin_model: Model) -> Iterator[ConstraintCompiler]:
    vocabulary = builtin_model.vocabulary
    compiler = ConstraintCompiler(grammar_tokenizer(vocabulary), vocabulary.size)
    yield compiler
    compiler.close()


@pytest.fixture(scope="session")
def random_model(model_folder: Path) -> Iterator[Model]:
    yield from loaded(write_tiny_llama(model_folder / "tiny.gguf"))


@pytest.fixture(scope="session")
def wide_model(model_folder: Path) -> Iterator[Model]:
    yield from loaded(write_wide_llama(model_folder / "wide.gguf"))


@pytest.fixture(scope="session", params=["cls", "mean"])
def encoder_model(model_folder: Path, request: pytest.FixtureRequest) -> Iterator[Model]:
    path = model_folder / f"bert-{request.param}.gguf"
    yield from loaded(write_encoder(path, pooling=request.param))


def make_runtime(model: Model, *, kv_size: int = 2048, max_sequences: int = 8) -> LlamaRuntime:
    return LlamaRuntime(
        model, ContextOptions(kv_size=kv_size, max_sequences=max_sequences, threads=1)
    )


@pytest.fixture(scope="session")
def zoo(model_folder: Path) -> Iterator[Zoo]:
    """A tiny model of every architecture, loaded when it is asked for."""
    made = Zoo(model_folder)
    yield made
    made.close()
