"""Figures of one pass over a workload, and medians over passes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, floor
from statistics import median

from app.cli.bench.counters import Counters
from app.cli.bench.records import Completion


@dataclass(frozen=True, slots=True)
class Observation:
    """What one pass saw. `first_token_times` and `gaps` are seconds, of the requests that count."""

    completions: Sequence[Completion]
    first_token_times: Sequence[float]
    gaps: Sequence[float]
    plain: Sequence[Completion] = ()
    """The same work without its constraint, done after it; no other figure counts these."""
    probe_times: Sequence[float] = ()
    """Seconds that the server took to say how it is, while the requests ran."""

    @classmethod
    def of(cls, completions: Sequence[Completion]) -> "Observation":
        """Every successful request counts for every figure."""
        good = [completion for completion in completions if completion.error is None]
        return cls(
            completions=completions,
            first_token_times=[
                first for completion in good if (first := completion.time_to_first) is not None
            ],
            gaps=[gap for completion in good for gap in completion.gaps()],
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates are per second of the whole pass; latencies are milliseconds, None if not seen."""

    requests: float
    errors: float
    seconds: float
    requests_per_s: float
    output_tokens_per_s: float
    prompt_tokens_per_s: float
    """Prompt tokens accepted, those answered from a prefix cache included."""
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    gap_p50_ms: float | None
    gap_p99_ms: float | None
    gap_max_ms: float | None
    output_tokens: float
    prompt_tokens: float
    cached_tokens: float
    short_answers: float
    """Answers shorter than asked for although the server was told to ignore EOS."""
    steady_tokens_per_s: float | None = None
    """Output rate while as many requests as the workload allows were all decoding."""
    plain_tokens_per_s: float | None = None
    """Output rate of the same work without its schema."""
    health_p99_ms: float | None = None
    computed_prompt_tokens: float | None = None
    """Prompt tokens that went through the model, where the server counts them."""
    outside_ms_per_step: float | None = None
    """Time of a step outside `llama_decode`, where the server tells it."""


@dataclass(frozen=True, slots=True)
class Row:
    """All passes over one workload."""

    workload: str
    streams: int
    repeats: list[Figures]
    messages: list[str] = field(default_factory=list[str])
    """The first error messages."""

    @property
    def figures(self) -> Figures:
        """The median of each figure over the passes."""
        return median_figures(self.repeats)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which `share` (0..1) of the values lie, interpolated; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low, high = ordered[floor(position)], ordered[ceil(position)]
    return low + (high - low) * (position - floor(position))


def summarise(seen: Observation, streams: int, counted: Counters | None = None) -> Figures:
    """The figures of one pass with up to `streams` requests at once.

    `counted` is what the server's own counters grew by.
    """
    good = [completion for completion in seen.completions if completion.error is None]
    started = min(completion.started for completion in seen.completions)
    seconds = max(completion.finished for completion in seen.completions) - started
    output = sum(completion.output_tokens for completion in good)
    prompt = sum(completion.prompt_tokens for completion in good)
    return Figures(
        requests=len(seen.completions),
        errors=len(seen.completions) - len(good),
        seconds=seconds,
        requests_per_s=len(good) / seconds,
        output_tokens_per_s=output / seconds,
        prompt_tokens_per_s=prompt / seconds,
        ttft_p50_ms=_percentile_ms(seen.first_token_times, 0.50),
        ttft_p99_ms=_percentile_ms(seen.first_token_times, 0.99),
        gap_p50_ms=_percentile_ms(seen.gaps, 0.50),
        gap_p99_ms=_percentile_ms(seen.gaps, 0.99),
        gap_max_ms=_percentile_ms(seen.gaps, 1.0),
        output_tokens=output,
        prompt_tokens=prompt,
        cached_tokens=sum(completion.cached_tokens for completion in good),
        short_answers=sum(
            completion.wanted_tokens is not None
            and completion.output_tokens < completion.wanted_tokens
            for completion in good
        ),
        steady_tokens_per_s=steady_rate(good, streams),
        plain_tokens_per_s=_rate(seen.plain),
        health_p99_ms=_percentile_ms(seen.probe_times, 0.99),
        computed_prompt_tokens=None if counted is None else counted.prompt_tokens_computed,
        outside_ms_per_step=None if counted is None else counted.outside_ms_per_step,
    )


def steady_rate(completions: Sequence[Completion], streams: int) -> float | None:
    """Output tokens per second over the times when exactly `streams` answers were decoding.

    An answer decodes from its first text to its last. An event may carry several tokens, so each
    counts for the answer's tokens divided by its events.
    """
    moments: list[tuple[float, int, float]] = []
    for done in completions:
        share = done.output_tokens / max(1, len(done.token_times))
        moments += [(arrived, 0, share) for arrived in done.token_times]
        if done.token_times:
            # A stream opens after its first text and closes with its last.
            moments += [(done.token_times[0], 1, 0.0), (done.token_times[-1], -1, 0.0)]
    tokens = seconds = previous = 0.0
    decoding = 0
    # At one moment: texts first, then closings, then openings.
    for moment, change, share in sorted(moments, key=lambda item: (item[0], _ORDER[item[1]])):
        if decoding == streams:
            seconds += moment - previous
            tokens += share
        decoding += change
        previous = moment
    return tokens / seconds if seconds else None


_ORDER = {0: 0, -1: 1, 1: 2}


def _rate(completions: Sequence[Completion]) -> float | None:
    if not completions:
        return None
    started = min(completion.started for completion in completions)
    ended = max(completion.finished for completion in completions)
    return sum(completion.output_tokens for completion in completions) / (ended - started)


def median_figures(passes: Sequence[Figures]) -> Figures:
    """The median of each figure; a figure seen in no pass stays None. Errors are summed."""
    columns: dict[str, list[float | None]] = {}
    for figures in passes:
        for name, value in asdict(figures).items():
            columns.setdefault(name, []).append(value)
    medians = {name: _median(values) for name, values in columns.items()}
    medians["errors"] = sum(figures.errors for figures in passes)
    return Figures(**medians)  # pyright: ignore[reportArgumentType] - None only where allowed


def _median(values: Sequence[float | None]) -> float | None:
    seen = [value for value in values if value is not None]
    return median(seen) if seen else None


def _percentile_ms(seconds: Sequence[float], share: float) -> float | None:
    value = percentile(seconds, share)
    return None if value is None else value * 1000
