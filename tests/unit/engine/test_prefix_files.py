"""The disk tier's files: what is whole is given back, and nothing else ever is."""

import resource
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.engine.prefix import files
from app.engine.prefix.files import Damaged, Header

KEY = files.digest(b"model")
STATE = memoryview(bytes(range(50)))


def header(n_tokens: int = 3, state: memoryview = STATE) -> Header:
    tokens = np.arange(n_tokens, dtype=np.int32)
    return Header(KEY, files.NO_BASE, 0, 0, tokens, len(state), files.digest(state))


@contextmanager
def largest_file(size: int) -> Generator[None]:
    """The kernel refuses to let a file grow beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("n_tokens", [1, 3, 5000])
def test_a_file_gives_back_what_was_written(tmp_path: Path, n_tokens: int) -> None:
    made = header(n_tokens)
    files.write(tmp_path, made, STATE)
    path = tmp_path / made.name
    found = files.read_header(path)
    assert found.tokens.tolist() == made.tokens.tolist()
    assert replace(found, tokens=made.tokens) != found
    assert (found.key, found.start, found.shortest, found.size) == (KEY, 0, 0, 50)
    assert files.read_state(path, KEY) == STATE
    assert not files.read_state(path, KEY).readonly, "llama.cpp's bindings want it writable"
    assert path.stat().st_size == made.file_bytes
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_truncated_file_is_believed(tmp_path: Path) -> None:
    made = header()
    files.write(tmp_path, made, STATE)
    path = tmp_path / made.name
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(Damaged) as caught:
            files.read_header(path)
        assert caught.value.is_ours
        with pytest.raises(Damaged):
            files.read_state(path, KEY)
    path.write_bytes(whole + b"x")
    with pytest.raises(Damaged):
        files.read_header(path)


def test_no_flipped_bit_is_believed(tmp_path: Path) -> None:
    made = header()
    files.write(tmp_path, made, STATE)
    path = tmp_path / made.name
    whole = bytearray(path.read_bytes())
    for bit in range(8 * len(whole)):
        whole[bit // 8] ^= 1 << bit % 8
        path.write_bytes(whole)
        with pytest.raises(Damaged):
            files.read_state(path, KEY)
        whole[bit // 8] ^= 1 << bit % 8


def test_a_state_is_for_its_model_only(tmp_path: Path) -> None:
    made = header()
    files.write(tmp_path, made, STATE)
    with pytest.raises(Damaged, match="another model"):
        files.read_state(tmp_path / made.name, files.digest(b"another"))


def test_a_state_under_the_name_of_another_is_refused(tmp_path: Path) -> None:
    made = header()
    files.write(tmp_path, made, STATE)
    wrong = (tmp_path / made.name).rename(tmp_path / header(4).name)
    with pytest.raises(Damaged, match="name"):
        files.read_header(wrong)


@pytest.mark.parametrize("content", [b"GGUF" * 40, b"corral\x00\x02" + bytes(200)])
def test_files_of_other_kinds_and_versions_are_not_ours(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / header().name
    path.write_bytes(content)
    with pytest.raises(Damaged) as caught:
        files.read_header(path)
    assert not caught.value.is_ours


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    made = header()
    for size in (0, 10, 100, made.file_bytes - 1):
        with largest_file(size), pytest.raises(OSError, match="large"):
            files.write(tmp_path, made, STATE)
        assert not list(tmp_path.iterdir())
