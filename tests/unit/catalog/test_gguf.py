"""The GGUF reader: right about whole files, clear about damaged ones, never fooled."""

import struct
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.entries import BUILTIN_PATH
from app.catalog.gguf import GgufError, read_header
from app.catalog.gguf_types import BLOCKS, FILE_TYPES
from scripts.make_gguf import write_encoder, write_tiny, write_tiny_llama


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_llama(path)
    return path


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def made(
    folder: Path,
    *,
    tensors: int = 1,
    entries: bytes = b"",
    n_entries: int | None = None,
    infos: bytes | None = None,
    data: bytes = bytes(64),
    version: int = 3,
) -> Path:
    """A file by hand: an architecture, one F32 tensor of 16 weights, unless said otherwise."""
    known = string("general.architecture") + struct.pack("<I", 8) + string("llama")
    count = 1 + (1 if entries else 0) if n_entries is None else n_entries
    if infos is None:
        infos = tensor("w", (16,), 0, 0)
    body = struct.pack("<4sIQQ", b"GGUF", version, tensors, count) + known + entries + infos
    body += bytes(-len(body) % 32)
    path = folder / "made.gguf"
    path.write_bytes(body + data)
    return path


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + dimensions + struct.pack("<IQ", kind, offset)


def test_the_tables_agree_with_the_reference() -> None:
    for kind, sizes in gguf.GGML_QUANT_SIZES.items():
        assert BLOCKS.get(int(kind)) == tuple(sizes), kind
    names = {
        int(kind): kind.name.removeprefix("MOSTLY_").removeprefix("ALL_")
        for kind in gguf.LlamaFileType
    }
    for number, name in FILE_TYPES.items():
        assert names[number] == name


def test_a_whole_model(tiny: Path) -> None:
    header, reference = read_header(tiny), gguf.GGUFReader(tiny)
    assert header.architecture == "llama"
    assert header.parameters == sum(int(tensor.n_elements) for tensor in reference.tensors)
    context: Any = reference.fields["llama.context_length"].contents()
    assert header.context_trained == context
    tokens: Any = reference.fields["tokenizer.ggml.tokens"].contents()
    assert header.vocabulary_size == len(tokens)
    assert header.is_causal
    assert header.is_model


def test_the_size_of_a_cell(tmp_path: Path) -> None:
    """As llama.cpp counts it: keys and values of every layer, two bytes a number."""
    for architecture, heads in {"llama": 2, "qwen3": 2, "mamba": 0}.items():
        header = read_header(write_tiny(tmp_path / f"{architecture}.gguf", architecture))
        assert header.cell_size == (2 * 2 * 32 * 2 if heads else None)


def test_an_encoder_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "encoder.gguf"
    write_encoder(path)
    assert not read_header(path).is_causal


@pytest.mark.skipif(not BUILTIN_PATH.is_file(), reason="the built-in model is not built")
def test_the_builtin_model() -> None:
    header = read_header(BUILTIN_PATH)
    assert header.context_trained == 32_768
    assert list(header.chat_templates) == ["default"]
    assert 1_000_000 < header.parameters < 20_000_000


def test_a_file_by_hand_is_read(tmp_path: Path) -> None:
    entries = string("a.flag") + struct.pack("<IB", 7, 1)
    header = read_header(made(tmp_path, entries=entries))
    assert header.metadata["a.flag"] is True
    assert header.parameters == 16


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 1}, "GGUF version 1 files are not supported"),
        ({"version": 3 << 24}, "big-endian files are not supported"),
        ({"data": bytes(63)}, "cut short: tensor 'w' ends 1 bytes after the end"),
        ({"infos": b""}, "a tensor has no name"),
        ({"tensors": 2**40}, "damaged: it claims"),
        ({"n_entries": 2**40}, "damaged: it claims"),
        ({"tensors": 0, "infos": b""}, "holds a vocabulary only"),
        ({"infos": tensor("w", (16,), 0, 8)}, "not aligned to 32 bytes"),
        ({"infos": tensor("w", (16,), 0, 2**63)}, "claims the shape"),
        ({"infos": tensor("w", (2**40, 2**40), 0, 0)}, "claims the shape"),
        ({"infos": tensor("w", (16, 1, 1, 1, 1), 0, 0)}, "claims 5 dimensions"),
        ({"infos": tensor("w", (16,), 8, 0)}, "not whole blocks of 32"),
        ({"tensors": 2, "infos": tensor("w", (8,), 0, 0) * 2}, "tensor 'w' appears twice"),
        ({"entries": string("x") + struct.pack("<I", 99)}, "has the unknown type 99"),
        ({"entries": string("x") + struct.pack("<IQ", 8, 2**50)}, "claims 1125899906842624 bytes"),
        ({"entries": string("x") + struct.pack("<IIQ", 9, 4, 2**50)}, "claims .* values"),
        ({"entries": string("x") + struct.pack("<IIQ", 9, 9, 1)}, "array of the unknown type 9"),
        ({"entries": string("general.architecture") + struct.pack("<IB", 0, 1)}, "appears twice"),
        ({"entries": string("general.alignment") + struct.pack("<II", 4, 3)}, "alignment is 3"),
    ],
)
def test_damage_is_named(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(GgufError, match=reason):
        read_header(made(tmp_path, **changes))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    for content in (b"", b"GGUF", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(GgufError, match="not a GGUF file"):
            read_header(path)
    with pytest.raises(GgufError, match="cannot be read: No such file"):
        read_header(tmp_path / "absent.gguf")
    with pytest.raises(GgufError, match="cannot be read: Is a directory"):
        read_header(tmp_path)


def test_every_truncation_is_noticed(tiny: Path, tmp_path: Path) -> None:
    whole = tiny.read_bytes()
    path = tmp_path / "cut.gguf"
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(GgufError):
            read_header(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_cause_another_error(tiny: Path, data: st.DataObject) -> None:
    content = bytearray(tiny.read_bytes())
    places = st.integers(0, min(len(content), 4096) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path = tiny.with_name("damaged.gguf")
    path.write_bytes(content)
    try:
        read_header(path)
    except GgufError as error:
        assert str(error)  # noqa: PT017  # damage need not be noticed, but it must be told well
