"""What Corral should reach, and how what was measured stands to it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

from app.cli.bench.report import milliseconds
from scripts.bench.store import Store

CORRAL, CORRAL_SPLIT = "Corral", "Corral with a split cache"
PEER, PEER_SPLIT = "llama-server", "llama-server without -kvu"
BATCHED = "llama-batched-bench"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table, as text. `is_met` is None where there is no target, or no figure."""

    title: str
    figure: str
    peer: str
    ratio: str
    target: str
    is_met: bool | None

    @property
    def verdict(self) -> str:
        if self.is_met is None:
            return "" if not self.target else "not measured"
        return "met" if self.is_met else "**missed**"


@dataclass(frozen=True, slots=True)
class Against:
    """A figure of a workload that is compared with llama-server's; `target` is for the ratio."""

    title: str
    workload: str
    streams: int
    field: str
    target: float

    @property
    def part(self) -> tuple[str, int]:
        return self.workload, self.streams

    @property
    def is_latency(self) -> bool:
        return self.field.endswith("_ms")

    def line(self, store: Store) -> Line:
        side = self._side(store)
        mine = self._value(store, side)
        peers = [
            (self._ratio(side, store, name) if mine else None, value, name)
            for name in (PEER, PEER_SPLIT)
            if (value := self._value(store, name)) is not None
        ]
        hardest = max if self.is_latency else min  # the peer that leaves Corral the worse ratio
        ratio, value, name = hardest(peers, default=(None, None, ""))
        return Line(
            title=self.title,
            figure=self._text(mine) + (" ¹" if side == CORRAL_SPLIT else ""),
            peer=self._text(value) + (" ¹" if name == PEER_SPLIT else ""),
            ratio=_number(ratio),
            target=f"{'at most' if self.is_latency else 'at least'} {self.target:g}",
            is_met=_is_met(ratio, self.target, at_most=self.is_latency),
        )

    def _side(self, store: Store) -> str:
        """With which cache Corral does the workload better: its rate decides for all figures."""
        if store.figures(CORRAL_SPLIT, *self.part) is None:
            return CORRAL
        rate = replace(self, field=PROMPT if self.workload == "prefill" else OUTPUT)
        return CORRAL_SPLIT if rate._ratio(CORRAL_SPLIT, store, CORRAL) > 1 else CORRAL

    def _ratio(self, one: str, store: Store, other: str) -> float:
        """The median of the ratios of neighbours: what the machine does at the time hits both. Of
        the medians, where a pass was lost: nobody knows whose neighbour it was."""
        passes = [store.repeats(label, *self.part) for label in (one, other)]
        if len(passes[0]) != len(passes[1]):
            medians = [self._value(store, label) for label in (one, other)]
            return (medians[0] or math.nan) / (medians[1] or math.nan)
        values = ([getattr(figures, self.field) for figures in side] for side in passes)
        pairs = zip(*values, strict=True)
        return median(first / second for first, second in pairs if first and second)

    def _value(self, store: Store, label: str) -> float | None:
        figures = store.figures(label, *self.part)
        value: float | None = getattr(figures, self.field) if figures else None
        return value or None

    def _text(self, value: float | None) -> str:
        if self.is_latency:
            return milliseconds(value)
        return "-" if value is None else f"{value:,.1f} tok/s"


OUTPUT, PROMPT, P50, P99 = (
    "output_tokens_per_s",
    "prompt_tokens_per_s",
    "ttft_p50_ms",
    "ttft_p99_ms",
)
AGAINST = (
    Against("decode, 1 stream", "decode", 1, OUTPUT, 1.15),
    Against("decode, 4 streams", "decode", 4, OUTPUT, 1.12),
    Against("decode, 8 streams", "decode", 8, OUTPUT, 1.15),
    Against("decode, 16 streams", "decode", 16, OUTPUT, 1.2),
    Against("small model, 1 stream", "small-decode", 1, OUTPUT, 1.0),
    Against("small model, 32 streams", "small-decode", 32, OUTPUT, 1.6),
    Against("unique prompts, 4 at once: prompt tokens", "prefill", 4, PROMPT, 1.03),
    Against("unique prompts: TTFT p50", "prefill", 4, P50, 0.75),
    Against("shared prefix, 8 at once", "shared-prefix", 8, OUTPUT, 4.5),
    Against("shared prefix: TTFT p99", "shared-prefix", 8, P99, 0.15),
    Against("multi-turn, 4 chats", "multi-turn", 4, OUTPUT, 1.1),
    Against("multi-turn: TTFT p50", "multi-turn", 4, P50, 0.8),
    Against("24 chats on 8 sequences: TTFT p50", "crowded-chats", 8, P50, 0.3),
    Against("long prompt arrives: gap p99 of 4 streams", "interference", 4, "gap_p99_ms", 0.08),
    Against("long prompt arrives: its TTFT", "interference", 4, P50, 1.1),
    Against("JSON schema, 1 stream", "json-schema", 1, OUTPUT, 1.6),
    Against("JSON schema, 4 streams", "json-schema", 4, OUTPUT, 2.5),
    Against("temperature, top-p, penalties, 8 streams", "sampling", 8, OUTPUT, 1.2),
)


def target_lines(store: Store) -> list[Line]:
    """The whole table; figures that were not measured are dashes."""
    return [
        *(against.line(store) for against in AGAINST),
        *_json_lines(store),
        _batched_line(store),
        *_reuse_lines(store),
        _health_line(store),
        _idle_line(store),
        *_other_lines(store),
    ]


def _json_lines(store: Store) -> Iterator[Line]:
    for streams in (1, 4):
        figures = store.figures(CORRAL, "json-schema", streams)
        free = figures.plain_tokens_per_s if figures else None
        share = figures.output_tokens_per_s / free if figures and free else None
        yield Line(
            title=f"JSON schema, {streams} at once, of its own speed without",
            figure=_rate(figures.output_tokens_per_s if figures else None),
            peer=f"{_rate(free)} ²",
            ratio=_number(share),
            target="at least 0.95",
            is_met=_is_met(share, 0.95, at_most=False),
        )


def _batched_line(store: Store) -> Line:
    figures = store.figures(CORRAL, "decode", 16)
    rate, limit = figures.steady_tokens_per_s if figures else None, store.fact(BATCHED, "tok/s")
    share = rate / limit if rate and limit else None
    return Line(
        title="decode rate, 16 streams, of `llama-batched-bench`",
        figure=_rate(rate),
        peer=f"{_rate(limit)} ³",
        ratio=_number(share),
        target="at least 0.95",
        is_met=_is_met(share, 0.95, at_most=False),
    )


def _reuse_lines(store: Store) -> Iterator[Line]:
    for workload in ("shared-prefix", "multi-turn"):
        ratio = store.fact(CORRAL, f"computed/unique {workload}")
        yield Line(
            title=f"prompt tokens computed, of the unique ones: {workload}",
            figure="",
            peer="",
            ratio=_number(ratio),
            target="at most 1.02",
            is_met=_is_met(ratio, 1.02, at_most=True),
        )


def _health_line(store: Store) -> Line:
    values = [
        figures.health_p99_ms if (figures := store.figures(label, "health", 16)) else None
        for label in (CORRAL, PEER)
    ]
    return Line(
        title="`/health` p99 while 16 streams decode",
        figure=milliseconds(values[0]),
        peer=milliseconds(values[1]),
        ratio=_divided(values[0], values[1]),
        target="at most 10 ms",
        is_met=_is_met(values[0], 10, at_most=True),
    )


def _idle_line(store: Store) -> Line:
    mine, peer = (store.fact(label, "idle cpu %") for label in (CORRAL, PEER))
    return Line(
        title="processor time when idle, of one core",
        figure="-" if mine is None else f"{mine:.2f} %",
        peer="-" if peer is None else f"{peer:.2f} %",
        ratio=_divided(mine, peer),
        target="at most 0.5 %",
        is_met=_is_met(mine, 0.5, at_most=True),
    )


def _other_lines(store: Store) -> Iterator[Line]:
    """What has no target."""
    figures = store.figures(CORRAL, "decode", 16)
    outside = figures.outside_ms_per_step if figures else None
    text = "-" if outside is None else f"{outside:.2f} ms"
    yield Line("time outside `llama_decode`, each step of 16 streams", text, "", "", "", None)
    facts = (
        ("start to ready", "ready s", "s"),
        ("start to the first answer", "first answer s", "s"),
        ("memory when ready", "ready MiB", "MiB"),
        ("memory each of 16 running sequences adds", "sequence KiB", "KiB"),
    )
    for title, name, unit in facts:
        mine, peer = (store.fact(label, name) for label in (CORRAL, PEER))
        texts = ["-" if value is None else f"{value:,.2f} {unit}" for value in (mine, peer)]
        yield Line(title, texts[0], texts[1], _divided(mine, peer), "", None)


def _is_met(value: float | None, target: float, *, at_most: bool) -> bool | None:
    if value is None:
        return None
    return value <= target if at_most else value >= target


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} tok/s"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _divided(mine: float | None, peer: float | None) -> str:
    return _number(mine / peer if mine is not None and peer else None)
