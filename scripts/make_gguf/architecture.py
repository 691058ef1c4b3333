"""What a model is made of: metadata keys, and tensors by name and size, as plain data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gguf import GGMLQuantizationType

Value = bool | int | float | Sequence[int] | Sequence[bool]
Dimensions = tuple[int, ...]
"""A tensor's size with the columns (inputs) last, as numpy has it."""
Tensors = dict[str, Dimensions]


@dataclass(frozen=True, slots=True)
class Architecture:
    """`keys` without the leading name; `layers`: the tensors of each, without `blk.<number>.`.

    The embedding `token_embd` belongs to every model and is not listed; the output projection is
    tied to it unless `tensors` has one.
    """

    name: str
    width: int
    keys: Mapping[str, Value]
    layers: Sequence[Tensors]
    tensors: Tensors = field(default_factory=dict[str, Dimensions])
    has_output: bool = False
    matrix_type: GGMLQuantizationType = GGMLQuantizationType.F32
    embedding_type: GGMLQuantizationType = GGMLQuantizationType.F32

    def all_tensors(self, vocabulary: int) -> Iterator[tuple[str, Dimensions]]:
        """Every tensor by its name in the file."""
        yield "token_embd.weight", (vocabulary, self.width)
        for number, layer in enumerate(self.layers):
            for name, shape in layer.items():
                yield f"blk.{number}.{name}", shape
        yield from self.tensors.items()
        if self.has_output:
            yield "output.weight", (vocabulary, self.width)


def norms(width: int, *names: str) -> Tensors:
    return {f"{name}.weight": (width,) for name in names}


def biases(tensors: Tensors) -> Tensors:
    """A bias for the output of each of these."""
    return {
        name.removesuffix("weight") + "bias": (*shape[:-2], shape[-2])
        for name, shape in tensors.items()
    }


def attention(width: int, heads: int, kv_heads: int, head: int, *, query: int = 1) -> Tensors:
    """`head`: elements of one; `query`: 2 where a gate comes out of the query projection too."""
    return {
        "attn_q.weight": (query * heads * head, width),
        "attn_k.weight": (kv_heads * head, width),
        "attn_v.weight": (kv_heads * head, width),
        "attn_output.weight": (width, heads * head),
    }


def feed_forward(width: int, hidden: int, *, gate: bool = True) -> Tensors:
    tensors: Tensors = {"ffn_up.weight": (hidden, width), "ffn_down.weight": (width, hidden)}
    return {**tensors, "ffn_gate.weight": (hidden, width)} if gate else tensors


def experts(width: int, hidden: int, count: int) -> Tensors:
    return {
        "ffn_gate_inp.weight": (count, width),
        "ffn_gate_exps.weight": (count, hidden, width),
        "ffn_up_exps.weight": (count, hidden, width),
        "ffn_down_exps.weight": (count, width, hidden),
    }
