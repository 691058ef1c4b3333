"""The command.

python -m scripts.make_gguf --preset qwen2.5-0.5b --vocab-from ggml-vocab-qwen2.gguf OUT.gguf
python -m scripts.make_gguf --preset gemma3 OUT.gguf

`qwen2.5-0.5b` and `small` take their vocabulary from another file; the other presets need none:
`tiny`, `wide`, `bert-cls`, `bert-mean`, and every architecture by its own name.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from scripts.make_gguf import (
    ARCHITECTURES,
    QWEN_HALF_B,
    QWEN_SMALL,
    Shape,
    read_vocabulary,
    write_encoder,
    write_model,
    write_tiny,
    write_tiny_llama,
    write_wide_llama,
)

VOCABULARY_PRESETS: dict[str, tuple[Shape, int]] = {
    "qwen2.5-0.5b": (QWEN_HALF_B, 151_936),
    "small": (QWEN_SMALL, 32_000),
}
PLAIN_PRESETS: dict[str, Callable[..., Path]] = {
    "tiny": write_tiny_llama,
    "wide": write_wide_llama,
    "bert-cls": partial(write_encoder, pooling="cls"),
    "bert-mean": partial(write_encoder, pooling="mean"),
    **{name: partial(write_tiny, architecture=name) for name in ARCHITECTURES},
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
        PLAIN_PRESETS[preset](out, seed=seed)
    elif vocab_from is None:
        raise click.UsageError(f"--preset {preset} needs --vocab-from")
    else:
        shape, size = VOCABULARY_PRESETS[preset]
        write_model(out, shape, read_vocabulary(vocab_from, size), seed=seed)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
