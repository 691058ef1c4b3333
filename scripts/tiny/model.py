"""A small Llama in PyTorch whose tensors map one to one onto llama.cpp's `llama` architecture."""

# PyTorch is needed to train only and is not among the dev dependencies.
# pyright: basic, reportMissingImports=false

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name everyone knows it by
from torch import Tensor, nn


@dataclass(frozen=True)
class TinyConfig:
    """The sizes of the model; `trained_length` is the longest window seen in training."""

    vocab: int = 3072
    width: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 512
    rope_base: float = 10000.0
    eps: float = 1e-5
    declared_context: int = 32768
    trained_length: int = 768


def rope_table(config: TinyConfig, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding, one row a position."""
    half = torch.arange(0, config.head_dim, 2, dtype=torch.float32)
    angles = torch.outer(
        torch.arange(length, dtype=torch.float32), config.rope_base ** (-half / config.head_dim)
    )
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbouring pairs, as llama.cpp does for Llama (no permutation on export)."""
    even, odd = x[..., 0::2].float(), x[..., 1::2].float()
    out = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return out.flatten(-2).to(x.dtype)


class Block(nn.Module):
    """One transformer layer: grouped-query attention, then SwiGLU."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        inner, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.attn_norm = nn.RMSNorm(config.width, eps=config.eps)
        self.attn_q = nn.Linear(config.width, inner, bias=False)
        self.attn_k = nn.Linear(config.width, kv, bias=False)
        self.attn_v = nn.Linear(config.width, kv, bias=False)
        self.attn_output = nn.Linear(inner, config.width, bias=False)
        self.ffn_norm = nn.RMSNorm(config.width, eps=config.eps)
        self.ffn_gate = nn.Linear(config.width, config.ffn, bias=False)
        self.ffn_up = nn.Linear(config.width, config.ffn, bias=False)
        self.ffn_down = nn.Linear(config.ffn, config.width, bias=False)

    def _attend(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, length, _ = x.shape
        shape = (rows, length, -1, self.config.head_dim)
        q = self.attn_q(x).view(shape).transpose(1, 2)
        k = self.attn_k(x).view(shape).transpose(1, 2)
        v = self.attn_v(x).view(shape).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        groups = self.config.heads // self.config.kv_heads
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attn_output(out.transpose(1, 2).reshape(rows, length, -1))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self._attend(self.attn_norm(x), cos, sin)
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class TinyLlama(nn.Module):
    """Embedding, layers, final norm; the output head shares the embedding's weights."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embd = nn.Embedding(config.vocab, config.width)
        self.blk = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.output_norm = nn.RMSNorm(config.width, eps=config.eps)
        cos, sin = rope_table(config, 1024)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(self._initialise)
        for block in self.blk:
            assert isinstance(block, Block)
            nn.init.zeros_(block.attn_output.weight)
            nn.init.zeros_(block.ffn_down.weight)

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02 if isinstance(module, nn.Embedding) else 0.04)

    def forward(self, ids: Tensor) -> Tensor:
        """Hidden states after the final norm, shape (rows, length, width)."""
        length = ids.shape[1]
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, self.cos[:length], self.sin[:length])
        return self.output_norm(x)

    def loss(self, ids: Tensor, weights: Tensor) -> Tensor:
        """Summed cross-entropy of the next tokens whose weight is not zero."""
        hidden = self(ids[:, :-1]).flatten(0, 1)
        wanted = torch.nonzero(weights[:, 1:].flatten() > 0).squeeze(1)
        targets = ids[:, 1:].flatten()[wanted]
        spare = -len(wanted) % 512
        wanted, targets = F.pad(wanted, (0, spare)), F.pad(targets, (0, spare), value=-100)
        logits = F.linear(hidden[wanted], self.token_embd.weight)
        return F.cross_entropy(logits.float(), targets, reduction="sum")


def parameter_count(model: nn.Module) -> int:
    """Trainable numbers in the model; the shared embedding counts once."""
    return sum(p.numel() for p in model.parameters())
