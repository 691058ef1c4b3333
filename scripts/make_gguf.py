"""Make GGUF files with random weights, for benchmarks and tests.

The files load and run in llama.cpp like real models, with real dimensions where a preset says so;
only what they say is noise. Speed depends on shapes and types, not on the values of the weights.

    python -m scripts.make_gguf --preset qwen2.5-0.5b --vocab-from ggml-vocab-qwen2.gguf OUT.gguf
    python -m scripts.make_gguf --preset tiny OUT.gguf

The presets `tiny`, `wide`, `bert-cls` and `bert-mean` need no other file; tests call
`write_tiny_llama`, `write_wide_llama` and `write_encoder` directly. The same seed gives the same
bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from string import ascii_lowercase, digits, punctuation
from typing import Literal, cast

import click
import gguf
import numpy as np
from gguf import GGMLQuantizationType, TokenType
from numpy.typing import NDArray

CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MIDDLE_TOKENS = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
WORD_LIST = (
    "the of and to in is you that it he was for on are as with his they at be this have from or "
    "one had by word but not what all were we when your can said there use each which she do how "
    "their if will up other about out many then them these so some her would make like him into "
    "time has look two more write go see number no way could people my than first water been call"
)
WORDS = tuple(WORD_LIST.split())

Pooling = Literal["mean", "cls"]
Weights = NDArray[np.float32] | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens with their kinds and merges, and the ids llama.cpp must know by role."""

    model: str
    pre: str
    tokens: list[str]
    kinds: Sequence[int]
    merges: list[str] = field(default_factory=list[str])
    roles: dict[str, int] = field(default_factory=dict[str, int])
    """Role as GGUF names it (`eos`, `bos`, `padding`, `fim_pre`, ...) to token id."""
    chat_template: str | None = None

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions of a transformer, in elements, tokens or layers."""

    arch: Literal["llama", "qwen2", "bert"]
    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    context: int
    rope_base: float = 10_000.0
    matrix_type: GGMLQuantizationType = GGMLQuantizationType.F32
    embedding_type: GGMLQuantizationType = GGMLQuantizationType.F32

    @property
    def kv_width(self) -> int:
        """Elements of one key (or value) row."""
        return self.width // self.heads * self.kv_heads


QWEN_HALF_B = Shape(
    arch="qwen2",
    layers=24,
    width=896,
    heads=14,
    kv_heads=2,
    hidden=4864,
    context=32_768,
    rope_base=1_000_000.0,
    matrix_type=GGMLQuantizationType.Q4_0,
    embedding_type=GGMLQuantizationType.Q8_0,
)
QWEN_SMALL = replace(QWEN_HALF_B, layers=4, width=256, heads=4, kv_heads=2, hidden=1024)
TINY_LLAMA = Shape("llama", layers=2, width=64, heads=4, kv_heads=2, hidden=128, context=2048)
WIDE_LLAMA = replace(TINY_LLAMA, embedding_type=GGMLQuantizationType.Q8_0)
SMALL_BERT = Shape("bert", layers=2, width=64, heads=4, kv_heads=4, hidden=128, context=512)


# --- vocabularies ---------------------------------------------------------------------------------


def byte_symbols() -> list[str]:
    """The printable symbol that stands for each byte value in byte-level BPE vocabularies."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def byte_level_vocabulary(
    *, chat: bool = True, fill_in_middle: bool = False, size: int | None = None
) -> Vocabulary:
    """Byte-level BPE over `WORDS`; `size` adds made-up words up to that many tokens.

    Every text can be encoded: the 256 byte symbols are tokens, and each word is reached by merging
    its letters from the left.
    """
    tokens = dict.fromkeys(byte_symbols())
    merges: list[str] = []
    for word in WORDS:
        piece = "Ġ"
        for letter in word:
            if piece + letter not in tokens:
                tokens[piece + letter] = None
                merges.append(f"{piece} {letter}")
            piece += letter
    specials = CHAT_TOKENS + (MIDDLE_TOKENS if fill_in_middle else ())
    if size is not None:
        made_up = _made_up_words()
        while len(tokens) + len(specials) < size:
            tokens[next(made_up)] = None
    plain = list(tokens)
    ids = {name: len(plain) + offset for offset, name in enumerate(specials)}
    return Vocabulary(
        model="gpt2",
        pre="gpt-2",
        tokens=plain + list(specials),
        kinds=[TokenType.NORMAL] * len(plain) + [TokenType.CONTROL] * len(specials),
        merges=merges,
        roles=_roles(ids),
        chat_template=CHATML_TEMPLATE if chat else None,
    )


def word_piece_vocabulary() -> Vocabulary:
    """A WordPiece vocabulary: special tokens, characters and `WORDS`.

    llama.cpp marks the start of a word with U+2581 and leaves continuation pieces bare.
    """
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = ascii_lowercase + digits + punctuation
    tokens = [*specials, *(f"\u2581{text}" for text in dict.fromkeys([*characters, *WORDS]))]
    tokens += characters
    names = ("padding", "unknown", "bos", "seperator", "mask")
    return Vocabulary(
        model="bert",
        pre="default",
        tokens=tokens,
        kinds=[TokenType.CONTROL] * len(specials)
        + [TokenType.NORMAL] * (len(tokens) - len(specials)),
        roles={name: number for number, name in enumerate(names)},
    )


def read_vocabulary(path: Path, size: int) -> Vocabulary:
    """The byte-level BPE vocabulary of a GGUF file, padded or cut to `size` tokens.

    A cut keeps the earliest tokens, the merges that only need those, and the chat tokens.
    """
    fields = gguf.GGUFReader(path).fields

    def contents(key: str) -> object:
        return cast("object", fields[f"tokenizer.ggml.{key}"].contents())

    tokens = cast("list[str]", contents("tokens"))
    kinds = cast("list[int]", contents("token_type"))
    merges = cast("list[str]", contents("merges"))
    if len(tokens) > size:
        tokens = [*tokens[: size - len(CHAT_TOKENS)], *CHAT_TOKENS]
        kinds = [*kinds[: size - len(CHAT_TOKENS)], *[TokenType.CONTROL] * len(CHAT_TOKENS)]
        kept = set(tokens)
        merges = [merge for merge in merges if merge.replace(" ", "") in kept]
    padding = range(len(tokens), size)
    tokens = [*tokens, *(f"[PAD{number}]" for number in padding)]
    kinds = [*kinds, *[TokenType.UNUSED] * len(padding)]
    return Vocabulary(
        model=cast("str", contents("model")),
        pre=cast("str", contents("pre")),
        tokens=tokens,
        kinds=kinds,
        merges=merges,
        roles=_roles({name: tokens.index(name) for name in CHAT_TOKENS}),
        chat_template=CHATML_TEMPLATE,
    )


def _roles(ids: dict[str, int]) -> dict[str, int]:
    """GGUF role names for the special tokens that exist."""
    roles = {"bos": "<|endoftext|>", "eos": "<|im_end|>", "padding": "<|endoftext|>"}
    roles |= {f"fim_{name.removeprefix('<|fim_')[:3]}": name for name in MIDDLE_TOKENS}
    return {role: ids[name] for role, name in roles.items() if name in ids}


def _made_up_words() -> Iterator[str]:
    """Endless distinct words of four letters and more, each with a leading space symbol."""
    length = 4
    while True:
        for letters in product(ascii_lowercase, repeat=length):
            yield "Ġ" + "".join(letters)
        length += 1


# --- weights --------------------------------------------------------------------------------------


def random_weights(
    rng: np.random.Generator, shape: tuple[int, ...], kind: GGMLQuantizationType, std: float
) -> Weights:
    """Random weights with the given standard deviation, in the file's own encoding.

    Quantized blocks are drawn directly, which is far faster than quantizing floats.
    """
    if kind is GGMLQuantizationType.F32:
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(std)
    blocks = (*shape[:-1], shape[-1] // 32)
    if kind is GGMLQuantizationType.Q4_0:
        low, high = rng.integers(1, 16, (2, *blocks, 16), dtype=np.uint8)
        values, spread = low | (high << 4), np.sqrt((15**2 - 1) / 12)
    elif kind is GGMLQuantizationType.Q8_0:
        values = rng.integers(-127, 128, (*blocks, 32), dtype=np.int8).view(np.uint8)
        spread = np.sqrt((255**2 - 1) / 12)
    else:
        raise ValueError(f"random weights of type {kind.name} are not supported")
    scale = np.full((*blocks, 1), std / spread, dtype=np.float16).view(np.uint8)
    return np.concatenate([scale, values], axis=-1).reshape(*shape[:-1], -1)


Matrix = tuple[str, int, int]
"""Name, rows (outputs), columns (inputs)."""


def _layer_matrices(shape: Shape, layer: int) -> list[Matrix]:
    width, hidden = shape.width, shape.hidden
    matrices = [
        ("attn_q", width, width),
        ("attn_k", shape.kv_width, width),
        ("attn_v", shape.kv_width, width),
        ("attn_output", width, width),
        ("ffn_up", hidden, width),
        ("ffn_down", width, hidden),
    ]
    if shape.arch != "bert":
        matrices.append(("ffn_gate", hidden, width))
    return [(f"blk.{layer}.{name}", rows, columns) for name, rows, columns in matrices]


def _has_bias(shape: Shape, matrix: str) -> bool:
    if shape.arch == "bert":
        return True
    return shape.arch == "qwen2" and matrix.endswith(("attn_q", "attn_k", "attn_v"))


def _norms(shape: Shape) -> Iterator[str]:
    names = ("attn_norm", "ffn_norm")
    if shape.arch == "bert":
        names = ("attn_output_norm", "layer_output_norm")
    for layer in range(shape.layers):
        yield from (f"blk.{layer}.{name}" for name in names)
    yield "token_embd_norm" if shape.arch == "bert" else "output_norm"


def _add_weights(writer: gguf.GGUFWriter, shape: Shape, vocabulary: int, seed: int) -> None:
    """Add every tensor of the architecture; the output projection is tied to the embedding."""
    rng = np.random.default_rng(seed)
    plain = GGMLQuantizationType.F32

    def add(name: str, size: tuple[int, ...], kind: GGMLQuantizationType, std: float) -> None:
        writer.add_tensor(name, random_weights(rng, size, kind, std), raw_dtype=kind)

    add("token_embd.weight", (vocabulary, shape.width), shape.embedding_type, 0.05)
    if shape.arch == "bert":
        add("position_embd.weight", (shape.context, shape.width), plain, 0.05)
        add("token_types.weight", (2, shape.width), plain, 0.05)
    for layer in range(shape.layers):
        for name, rows, columns in _layer_matrices(shape, layer):
            add(f"{name}.weight", (rows, columns), shape.matrix_type, columns**-0.5)
            if _has_bias(shape, name):
                add(f"{name}.bias", (rows,), plain, 0.1)
    for name in _norms(shape):
        writer.add_tensor(f"{name}.weight", np.ones(shape.width, dtype=np.float32))
        if shape.arch == "bert":
            add(f"{name}.bias", (shape.width,), plain, 0.1)


# --- files ----------------------------------------------------------------------------------------


def write_model(
    path: Path,
    shape: Shape,
    vocabulary: Vocabulary,
    *,
    pooling: Pooling | None = None,
    seed: int = 0,
) -> Path:
    """Write one GGUF file and return its path."""
    writer = gguf.GGUFWriter(path, shape.arch)
    writer.add_name(path.stem)
    _add_dimensions(writer, shape)
    if pooling is not None:
        kinds = {"mean": gguf.PoolingType.MEAN, "cls": gguf.PoolingType.CLS}
        writer.add_pooling_type(kinds[pooling])
    _add_vocabulary(writer, vocabulary)
    _add_weights(writer, shape, len(vocabulary), seed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_tiny_llama(
    path: Path,
    *,
    chat: bool = True,
    fill_in_middle: bool = False,
    context: int = TINY_LLAMA.context,
    seed: int = 0,
) -> Path:
    """A two-layer llama with a few hundred byte-level tokens, under 1 MB."""
    vocabulary = byte_level_vocabulary(chat=chat, fill_in_middle=fill_in_middle)
    return write_model(path, replace(TINY_LLAMA, context=context), vocabulary, seed=seed)


def write_wide_llama(path: Path, *, vocabulary_size: int = 150_000, seed: int = 0) -> Path:
    """A two-layer llama with a large vocabulary, where sampling outweighs the network."""
    return write_model(path, WIDE_LLAMA, byte_level_vocabulary(size=vocabulary_size), seed=seed)


def write_encoder(path: Path, *, pooling: Pooling = "cls", seed: int = 0) -> Path:
    """A two-layer BERT encoder for embeddings, with a context of 512 tokens."""
    return write_model(path, SMALL_BERT, word_piece_vocabulary(), pooling=pooling, seed=seed)


def _add_dimensions(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    if shape.arch == "bert":
        writer.add_layer_norm_eps(1e-12)
        writer.add_causal_attention(False)
        writer.add_token_type_count(2)
        return
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.width // shape.heads)


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    for role, token in vocabulary.roles.items():
        writer.add_uint32(f"tokenizer.ggml.{role}_token_id", token)
    if vocabulary.model == "gpt2":
        writer.add_add_bos_token(False)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)


VOCABULARY_PRESETS: dict[str, tuple[Shape, int]] = {
    "qwen2.5-0.5b": (QWEN_HALF_B, 151_936),
    "small": (QWEN_SMALL, 32_000),
}
PLAIN_PRESETS: dict[str, Callable[[Path, int], Path]] = {
    "tiny": lambda path, seed: write_tiny_llama(path, seed=seed),
    "wide": lambda path, seed: write_wide_llama(path, seed=seed),
    "bert-cls": lambda path, seed: write_encoder(path, pooling="cls", seed=seed),
    "bert-mean": lambda path, seed: write_encoder(path, pooling="mean", seed=seed),
}


@click.command()
@click.option("--preset", type=click.Choice([*VOCABULARY_PRESETS, *PLAIN_PRESETS]), required=True)
@click.option(
    "--vocab-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="GGUF file whose byte-level BPE tokenizer is copied (qwen2.5-0.5b and small need one).",
)
@click.option("--seed", default=0, show_default=True)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def main(preset: str, vocab_from: Path | None, seed: int, out: Path) -> None:
    """Write a GGUF file with random weights to OUT."""
    if preset in PLAIN_PRESETS:
        PLAIN_PRESETS[preset](out, seed)
    elif vocab_from is None:
        raise click.UsageError(f"--preset {preset} needs --vocab-from")
    else:
        shape, size = VOCABULARY_PRESETS[preset]
        write_model(out, shape, read_vocabulary(vocab_from, size), seed=seed)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
