"""Vocabularies: byte-level BPE and WordPiece made up here, or copied from a GGUF file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from string import ascii_lowercase, digits, punctuation
from typing import cast

import gguf
from gguf import TokenType

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


def add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    """Write the tokenizer's part of a file's metadata."""
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
    else:
        writer.add_token_type_count(2)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)


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
