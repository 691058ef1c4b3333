from pathlib import Path

import gguf
import numpy as np
import pytest
from click.testing import CliRunner
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from scripts.make_gguf import (
    ARCHITECTURES,
    CHAT_TOKENS,
    QWEN_SMALL,
    TINY_LLAMA,
    byte_level_vocabulary,
    make_adapter,
    random_weights,
    read_vocabulary,
    word_piece_vocabulary,
    write_adapter,
    write_encoder,
    write_model,
    write_tiny,
    write_tiny_llama,
)
from scripts.make_gguf.__main__ import main


def shapes(path: Path) -> dict[str, list[int]]:
    return {tensor.name: list(tensor.shape) for tensor in gguf.GGUFReader(path).tensors}


def test_same_seed_same_file(tmp_path: Path) -> None:
    files: list[bytes] = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / folder).mkdir()
        files.append(write_tiny_llama(tmp_path / folder / "tiny.gguf", seed=seed).read_bytes())
    one, same, other = files
    assert one == same
    assert one != other
    assert len(one) < 1_000_000


@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q8_0])
def test_quantized_weights_have_the_wanted_spread(kind: GGMLQuantizationType) -> None:
    weights = random_weights(np.random.default_rng(0), (64, 256), kind, std=0.25)
    values = dequantize(weights, kind)
    assert values.shape == (64, 256)
    assert np.std(values) == pytest.approx(0.25, rel=0.02)
    assert abs(np.mean(values)) < 0.01


def test_an_adapter_has_a_pair_for_each_matrix(tmp_path: Path) -> None:
    adapter = make_adapter(TINY_LLAMA, rank=3, alpha=6.0, targets=("attn_k", "ffn_up"))
    path = write_adapter(tmp_path / "a.gguf", adapter)
    assert shapes(path) == {
        f"blk.{layer}.{name}.weight.lora_{part}": size
        for layer in range(2)
        for name, part, size in (
            ("attn_k", "a", [64, 3]),
            ("attn_k", "b", [3, 32]),
            ("ffn_up", "a", [64, 3]),
            ("ffn_up", "b", [3, 128]),
        )
    }
    fields = gguf.GGUFReader(path).fields
    assert fields["general.type"].contents() == "adapter"
    assert fields["adapter.lora.alpha"].contents() == 6.0
    a, b = adapter.pairs["blk.0.ffn_up.weight"]
    delta = adapter.deltas(0.5)["blk.0.ffn_up.weight"]
    np.testing.assert_allclose(delta, 0.5 * 6 / 3 * (b @ a), rtol=1e-5, atol=1e-6)
    base = write_tiny_llama(tmp_path / "base.gguf")
    assert make_adapter(base, rank=3, alpha=6.0).pairs.keys() > adapter.pairs.keys()


def test_deltas_are_added_to_plain_matrices_only(tmp_path: Path) -> None:
    deltas = make_adapter(TINY_LLAMA).deltas()
    plain = write_model(tmp_path / "plain.gguf", TINY_LLAMA, byte_level_vocabulary())
    merged = write_model(
        tmp_path / "merged.gguf", TINY_LLAMA, byte_level_vocabulary(), deltas=deltas
    )
    before, after = (
        {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
        for path in (plain, merged)
    )
    for name, data in after.items():
        change = deltas.get(name, np.zeros_like(data))
        np.testing.assert_allclose(data - before[name], change, atol=1e-5)
    quantized = make_adapter(QWEN_SMALL).deltas()
    with pytest.raises(ValueError, match="Q4_0"):
        write_model(tmp_path / "q.gguf", QWEN_SMALL, byte_level_vocabulary(), deltas=quantized)


def test_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="Q6_K"):
        random_weights(np.random.default_rng(0), (1, 256), GGMLQuantizationType.Q6_K, 1.0)


def test_every_merge_makes_a_token() -> None:
    vocabulary = byte_level_vocabulary(fill_in_middle=True)
    tokens = set(vocabulary.tokens)
    assert len(tokens) == len(vocabulary) < 600
    assert all(set(merge.split()) <= tokens for merge in vocabulary.merges)
    assert all(merge.replace(" ", "") in tokens for merge in vocabulary.merges)
    assert "Ġthe" in tokens


def test_roles_point_at_their_tokens() -> None:
    vocabulary = byte_level_vocabulary(fill_in_middle=True)
    named = {role: vocabulary.tokens[token] for role, token in vocabulary.roles.items()}
    assert named == {
        "bos": "<|endoftext|>",
        "eos": "<|im_end|>",
        "padding": "<|endoftext|>",
        "fim_pre": "<|fim_prefix|>",
        "fim_mid": "<|fim_middle|>",
        "fim_suf": "<|fim_suffix|>",
    }


def test_a_made_up_vocabulary_has_the_wanted_size() -> None:
    vocabulary = byte_level_vocabulary(size=20_000)
    assert len(set(vocabulary.tokens)) == len(vocabulary) == len(vocabulary.kinds) == 20_000


def test_without_a_template(tmp_path: Path) -> None:
    fields = gguf.GGUFReader(write_tiny_llama(tmp_path / "tiny.gguf", chat=False)).fields
    assert "tokenizer.chat_template" not in fields


def test_the_encoder(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "bert.gguf", pooling="mean")
    fields = gguf.GGUFReader(path).fields
    assert fields["bert.pooling_type"].contents() == gguf.PoolingType.MEAN
    assert fields["bert.context_length"].contents() == 512
    assert shapes(path)["position_embd.weight"] == [64, 512]
    assert shapes(path)["token_embd.weight"] == [64, len(word_piece_vocabulary())]


def test_a_vocabulary_is_cut_or_padded(tmp_path: Path) -> None:
    source = write_tiny_llama(tmp_path / "source.gguf")
    whole = byte_level_vocabulary()
    cut = read_vocabulary(source, 300)
    assert len(cut) == 300
    assert cut.tokens[-3:] == list(CHAT_TOKENS)
    assert 0 < len(cut.merges) < len(whole.merges)
    padded = read_vocabulary(source, 1000)
    assert padded.tokens[: len(whole)] == whole.tokens
    assert padded.tokens[-1] == "[PAD999]"
    assert padded.roles == whole.roles


def test_quantized_tensors_keep_their_dimensions(tmp_path: Path) -> None:
    path = write_model(tmp_path / "small.gguf", QWEN_SMALL, byte_level_vocabulary())
    assert shapes(path)["blk.3.ffn_down.weight"] == [1024, 256]
    assert shapes(path)["blk.0.attn_k.bias"] == [128]
    kinds = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(path).tensors}
    assert kinds["blk.0.attn_q.weight"] == GGMLQuantizationType.Q4_0
    assert kinds["token_embd.weight"] == GGMLQuantizationType.Q8_0
    assert kinds["output_norm.weight"] == GGMLQuantizationType.F32


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_small(architecture: str, tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "model.gguf", architecture)
    assert path.stat().st_size < 2_000_000
    reader = gguf.GGUFReader(path)
    assert reader.fields["general.architecture"].contents() == architecture
    assert all(np.isfinite(tensor.data).all() for tensor in reader.tensors)


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "tiny.gguf"
    result = CliRunner().invoke(main, ["--preset", "tiny", str(out)])
    assert result.exit_code == 0
    assert out.exists()
    result = CliRunner().invoke(main, ["--preset", "small", str(out)])
    assert result.exit_code == 2
    assert "needs --vocab-from" in result.output
