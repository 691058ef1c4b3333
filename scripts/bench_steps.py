"""Measure what the engine costs around llama.cpp: time outside `llama_decode` per step.

    python -m scripts.bench_steps MODEL.gguf --streams 16 --tokens 64 --threads 2

No HTTP: sequences go straight into an engine. Each row gives milliseconds per step inside and
outside llama.cpp's decode, the outside share, and tokens per second; medians over the rounds.
"""

import asyncio
import statistics
import time
from pathlib import Path

import click

from app.cli.hugepages import begin_with_huge_pages
from app.core.requests import SamplingParams
from app.engine.engine import Engine, OutputStream
from app.engine.messages import EngineConfig, SequenceSpec
from app.llama import library
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.model import Model, ModelOptions

SAMPLING = {
    "greedy": SamplingParams(temperature=0),
    "default": SamplingParams(seed=1),
    "penalties": SamplingParams(seed=1, presence_penalty=0.5),
}
PROMPT_TOKENS = 16


async def _read(stream: OutputStream) -> None:
    while not stream.is_closed:
        stream.news.clear()
        await stream.news.wait()


async def _round(
    engine: Engine, name: str, streams: int, tokens: int, sampling: SamplingParams
) -> tuple[float, float, float]:
    """Milliseconds per step inside and outside decode, and tokens per second, of one round."""
    before, started = engine.stats, time.perf_counter()
    specs = tuple(
        SequenceSpec(
            id=f"{name}-{index}",
            prompt=tuple(range(100 + index, 100 + index + PROMPT_TOKENS)),
            max_tokens=tokens,
            sampling=sampling,
            ignore_eos=True,
        )
        for index in range(streams)
    )
    await asyncio.gather(*(_read(stream) for stream in engine.submit(specs)))
    seconds, after = time.perf_counter() - started, engine.stats
    steps = after.steps - before.steps
    inside = (after.decode_seconds - before.decode_seconds) / steps
    outside = (after.overhead_seconds - before.overhead_seconds) / steps
    return 1e3 * inside, 1e3 * outside, streams * tokens / seconds


async def _measure(
    model: Model, streams: list[int], tokens: int, threads: int, rounds: int
) -> None:
    most = max(streams)
    runtime = LlamaRuntime(
        model,
        ContextOptions(
            kv_size=most * (tokens + PROMPT_TOKENS) + 256, max_sequences=most, threads=threads
        ),
    )
    engine = Engine(runtime, EngineConfig()).start()
    click.echo("sampling   streams  decode ms  outside ms  share  tokens/s")
    for kind, sampling in SAMPLING.items():
        for count in streams:
            await _round(engine, f"warm-{kind}-{count}", count, 4, sampling)
            rows = [
                await _round(engine, f"{kind}-{count}-{index}", count, tokens, sampling)
                for index in range(rounds)
            ]
            inside, outside, speed = (
                statistics.median(column) for column in zip(*rows, strict=True)
            )
            click.echo(
                f"{kind:10} {count:7d} {inside:10.2f} {outside:11.3f} "
                f"{outside / (inside + outside):6.1%} {speed:9.1f}"
            )
    await engine.close()


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--streams", multiple=True, type=click.IntRange(1, 256), default=(1, 4, 16))
@click.option("--tokens", type=click.IntRange(8), default=64, show_default=True)
@click.option("--threads", type=click.IntRange(0), default=0, help="0: llama.cpp's own choice.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
def main(path: Path, streams: tuple[int, ...], tokens: int, threads: int, rounds: int) -> None:
    """Print the cost of a step for MODEL PATH."""
    begin_with_huge_pages()
    library.init(lambda level, text: click.echo(text, err=True) if level == "error" else None)
    model = Model.load(path, ModelOptions())
    click.echo(f"{path.name}: {model.vocabulary.size} tokens in the vocabulary")
    asyncio.run(_measure(model, list(streams), tokens, threads, rounds))
    model.close()


if __name__ == "__main__":
    main()
