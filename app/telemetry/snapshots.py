"""Metric families made at scrape time from snapshots that engines, pool and system publish."""

import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from app.core.models import ModelState
from app.core.stats import EngineStats
from app.telemetry.families import Kind, Name, render_samples

_STATES: tuple[ModelState, ...] = get_args(ModelState)
_START_TIME = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A family with one sample for each engine, and the alias that carries the same value."""

    name: Name
    kind: Kind
    read: Callable[[EngineStats], float]
    alias: Name | None = None


def alias(name: str, text: str, *labels: str) -> Name:
    """A name in vLLM's dialect: its label names, and the engine number it always adds."""
    return Name(name, text, ("model_name", *labels), (("engine", "0"),))


def _reading(
    name: str,
    text: str,
    read: Callable[[EngineStats], float],
    alias_name: str | None = None,
) -> _Reading:
    kind: Kind = "counter" if name.endswith("_total") else "gauge"
    other = alias(alias_name, text) if alias_name else None
    return _Reading(Name(name, text, ("model",)), kind, read, other)


def _kv_ratio(stats: EngineStats) -> float:
    return stats.kv_tokens_used / stats.kv_tokens_total if stats.kv_tokens_total else 0.0


def _heartbeat_time(stats: EngineStats) -> float:
    """The heartbeat in Unix seconds; 0 before the first."""
    if not stats.heartbeat:
        return 0.0
    return time.time() - (time.monotonic() - stats.heartbeat)


_READINGS = (
    _reading(
        "corral_requests_running",
        "Sequences being generated.",
        lambda stats: stats.running,
        "vllm:num_requests_running",
    ),
    _reading(
        "corral_requests_waiting",
        "Sequences in the queue.",
        lambda stats: stats.waiting,
        "vllm:num_requests_waiting",
    ),
    _reading(
        "corral_sequences_capacity",
        "Most sequences generated at once.",
        lambda stats: stats.sequences_max,
    ),
    _reading("corral_kv_tokens_used", "KV cells in use.", lambda stats: stats.kv_tokens_used),
    _reading("corral_kv_tokens_capacity", "KV cells.", lambda stats: stats.kv_tokens_total),
    _reading(
        "corral_kv_usage_ratio",
        "Share of the KV cells in use, 0 to 1.",
        _kv_ratio,
        "vllm:kv_cache_usage_perc",
    ),
    _reading(
        "corral_prompt_tokens_total",
        "Prompt tokens of admitted sequences.",
        lambda stats: stats.prompt_tokens,
        "vllm:prompt_tokens_total",
    ),
    _reading(
        "corral_prompt_tokens_computed_total",
        "Prompt tokens that went through the model.",
        lambda stats: stats.prompt_tokens_computed,
    ),
    _reading(
        "corral_prompt_tokens_cached_total",
        "Prompt tokens found in the prefix cache.",
        lambda stats: stats.cached_tokens,
        "vllm:prefix_cache_hits_total",
    ),
    _reading(
        "corral_generated_tokens_total",
        "Tokens generated.",
        lambda stats: stats.generated_tokens,
        "vllm:generation_tokens_total",
    ),
    _reading(
        "corral_preemptions_total",
        "Sequences parked for want of KV cells.",
        lambda stats: stats.preemptions,
        "vllm:num_preemptions_total",
    ),
    _reading("corral_engine_steps_total", "Steps of the engine.", lambda stats: stats.steps),
    _reading(
        "corral_engine_decode_seconds_total",
        "Time inside llama_decode.",
        lambda stats: stats.decode_seconds,
    ),
    _reading(
        "corral_engine_overhead_seconds_total",
        "Time of steps outside llama_decode.",
        lambda stats: stats.overhead_seconds,
    ),
    _reading(
        "corral_scheduler_heartbeat_timestamp_seconds",
        "When the engine thread last reported, in Unix time.",
        _heartbeat_time,
    ),
    _reading(
        "corral_engine_up",
        "1 while the model is loaded and its engine lives.",
        lambda stats: int(stats.is_alive),
    ),
)
_FINISHED = Name("corral_sequences_finished_total", "Sequences that ended.", ("model", "reason"))
_QUERIES = alias("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.")
_STATE = Name("corral_model_state", "1 for the state that a model is in.", ("model", "state"))


def render_states(states: Mapping[str, ModelState]) -> str:
    """One sample for each state of each model, so that a query can name the state it wants."""
    samples = [
        ((model, state), 1 if state == current else 0)
        for model, current in states.items()
        for state in _STATES
    ]
    return render_samples(_STATE, "gauge", samples)


def render_engines(stats: Mapping[str, EngineStats], *, has_aliases: bool) -> str:
    """Every reading of every engine, under its own name and where asked under vLLM's."""
    parts: list[str] = []
    for reading in _READINGS:
        samples = [((model,), reading.read(snapshot)) for model, snapshot in stats.items()]
        parts.append(render_samples(reading.name, reading.kind, samples))
        if has_aliases and reading.alias is not None:
            parts.append(render_samples(reading.alias, reading.kind, samples))
    finished = [
        ((model, reason), count)
        for model, snapshot in stats.items()
        for reason, count in snapshot.finished.items()
    ]
    parts.append(render_samples(_FINISHED, "counter", finished))
    if has_aliases:
        queries = [((model,), snapshot.prompt_tokens) for model, snapshot in stats.items()]
        parts.append(render_samples(_QUERIES, "counter", queries))
    return "".join(parts)


def render_process() -> str:
    """Memory, processor time and start of this process, under the names every dashboard knows."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    readings: list[tuple[str, Kind, str, float]] = [
        (
            "process_cpu_seconds_total",
            "counter",
            "Processor time spent.",
            usage.ru_utime + usage.ru_stime,
        ),
        ("process_resident_memory_bytes", "gauge", "Memory in use.", _resident_bytes()),
        (_START_TIME, "gauge", "Start of the process in Unix time.", _PROCESS_START),
    ]
    return "".join(
        render_samples(Name(name, text, ()), kind, [((), value)])
        for name, kind, text, value in readings
    )


def _resident_bytes() -> int:
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:  # not Linux: the peak is the best that is known
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


_PROCESS_START = time.time()
