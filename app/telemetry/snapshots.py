"""Metric families made at scrape time from the snapshots that engines and the pool publish."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from app.core.models import ModelState
from app.core.stats import CacheTier, EngineStats, PoolMemory
from app.telemetry.adapters import collect_adapters

Stats = Callable[[], Mapping[str, EngineStats]]
Memory = Callable[[], PoolMemory]
States = Callable[[], Mapping[str, ModelState]]
_Family = CounterMetricFamily | GaugeMetricFamily

OWN_LABELS = ("model",)
REPLICA_LABELS = ("model", "replica")
ALIAS_LABELS = ("model_name", "engine")
ENGINE = "0"
"""vLLM numbers its engines; Corral shows a model as one, also where it has replicas."""

_STATES: tuple[ModelState, ...] = get_args(ModelState)
_TIERS: tuple[CacheTier, ...] = get_args(CacheTier)
_NOTHING = EngineStats()


class SnapshotCollector(Collector):
    """Reads the latest snapshots; they need no lock, so a scrape never waits for an engine."""

    def __init__(self, *, has_aliases: bool) -> None:
        self._has_aliases = has_aliases
        self._stats: Stats = dict
        self._states: States = dict
        self._memory: Memory = PoolMemory

    def watch(self, stats: Stats, states: States, memory: Memory) -> None:
        self._stats = stats
        self._states = states
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        states, stats = self._states(), self._stats()
        # What an autoscaler reads is there for a model that was never loaded, too.
        known = {**dict.fromkeys(states, _NOTHING), **stats}
        yield _collect_states(states)
        yield from _collect_memory(self._memory())
        for reading in _READINGS:
            shown = known if reading.is_early else stats
            yield reading.collect(shown)
            if self._has_aliases and reading.alias is not None:
                yield reading.collect_alias(shown, reading.alias)
        yield _collect_finished(stats)
        for reading in _REPLICA_READINGS:
            yield reading.collect_replicas(stats)
        for tiered in _TIER_READINGS:
            yield tiered.collect(stats)
        yield from collect_adapters(stats, has_alias=self._has_aliases)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A family with one sample for each engine, and the alias that carries the same value.

    An early one has samples for models that were never loaded.
    """

    name: str
    text: str
    read: Callable[[EngineStats], float]
    alias: str | None = None
    is_early: bool = False

    def collect(self, stats: Mapping[str, EngineStats]) -> Metric:
        family = self._make(self.name, OWN_LABELS)
        for model, snapshot in stats.items():
            family.add_metric((model,), self.read(snapshot))
        return family

    def collect_replicas(self, stats: Mapping[str, EngineStats]) -> Metric:
        """One sample for each engine of the models that have several."""
        family = self._make(self.name, REPLICA_LABELS)
        for model, snapshot in stats.items():
            for number, replica in enumerate(snapshot.replicas):
                family.add_metric((model, str(number)), self.read(replica))
        return family

    def collect_alias(self, stats: Mapping[str, EngineStats], name: str) -> Metric:
        family = self._make(name, ALIAS_LABELS)
        for model, snapshot in stats.items():
            family.add_metric((model, ENGINE), self.read(snapshot))
        return family

    def _make(self, name: str, labels: tuple[str, ...]) -> _Family:
        return _make_family(name, self.text, labels)


@dataclass(frozen=True, slots=True)
class _TierReading:
    """A family with one sample for each tier of the prefix cache."""

    name: str
    text: str
    read: Callable[[EngineStats], Mapping[CacheTier, int]]

    def collect(self, stats: Mapping[str, EngineStats]) -> Metric:
        family = _make_family(self.name, self.text, (*OWN_LABELS, "tier"))
        for model, snapshot in stats.items():
            values = self.read(snapshot)
            for tier in _TIERS:
                family.add_metric((model, tier), values.get(tier, 0))
        return family


def _make_family(name: str, text: str, labels: tuple[str, ...]) -> _Family:
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(name, text, labels=labels)


def _collect_states(states: Mapping[str, ModelState]) -> Metric:
    """One sample for each state of each model, so that a query can name the state it wants."""
    family = GaugeMetricFamily(
        "corral_model_state", "1 for the state that a model is in.", labels=("model", "state")
    )
    for model, current in states.items():
        for state in _STATES:
            family.add_metric((model, state), state == current)
    return family


def _collect_memory(memory: PoolMemory) -> Iterator[Metric]:
    taken = GaugeMetricFamily(
        "corral_model_memory_bytes", "Memory that a loaded model takes.", labels=OWN_LABELS
    )
    for model, size in memory.models.items():
        taken.add_metric((model,), size)
    yield taken
    yield GaugeMetricFamily(
        "corral_memory_budget_bytes", "Memory that all models may take.", value=memory.budget
    )


def _collect_finished(stats: Mapping[str, EngineStats]) -> Metric:
    family = CounterMetricFamily(
        "corral_sequences_finished_total", "Sequences that ended.", labels=("model", "reason")
    )
    for model, snapshot in stats.items():
        for reason, count in snapshot.finished.items():
            family.add_metric((model, reason), count)
    return family


def _kv_ratio(stats: EngineStats) -> float:
    return stats.kv_tokens_used / stats.kv_tokens_total if stats.kv_tokens_total else 0.0


def _heartbeat_time(stats: EngineStats) -> float:
    """The heartbeat in Unix seconds; 0 before the first."""
    if not stats.heartbeat:
        return 0.0
    return time.time() - (time.monotonic() - stats.heartbeat)


_READINGS = (
    _Reading(
        "corral_requests_running",
        "Sequences being generated.",
        lambda stats: stats.running,
        "vllm:num_requests_running",
        is_early=True,
    ),
    _Reading(
        "corral_requests_waiting",
        "Sequences in the queue.",
        lambda stats: stats.waiting,
        "vllm:num_requests_waiting",
        is_early=True,
    ),
    _Reading(
        "corral_sequences_capacity",
        "Most sequences generated at once.",
        lambda stats: stats.sequences_max,
    ),
    _Reading("corral_kv_tokens_used", "KV cells in use.", lambda stats: stats.kv_tokens_used),
    _Reading("corral_kv_tokens_capacity", "KV cells.", lambda stats: stats.kv_tokens_total),
    _Reading(
        "corral_kv_usage_ratio",
        "Share of the KV cells in use, 0 to 1.",
        _kv_ratio,
        "vllm:kv_cache_usage_perc",
        is_early=True,
    ),
    _Reading(
        "corral_prompt_tokens_total",
        "Prompt tokens of admitted sequences.",
        lambda stats: stats.prompt_tokens,
        "vllm:prompt_tokens_total",
    ),
    _Reading(
        "corral_prompt_tokens_computed_total",
        "Prompt tokens that went through the model.",
        lambda stats: stats.prompt_tokens_computed,
    ),
    _Reading(
        "corral_prefix_cache_lookup_tokens_total",
        "Prompt tokens looked for in the prefix cache.",
        lambda stats: stats.cache_lookup_tokens,
        "vllm:prefix_cache_queries_total",
    ),
    _Reading(
        "corral_prompt_tokens_cached_total",
        "Prompt tokens found in the prefix cache.",
        lambda stats: stats.cached_tokens,
        "vllm:prefix_cache_hits_total",
    ),
    _Reading(
        "corral_generated_tokens_total",
        "Tokens generated.",
        lambda stats: stats.generated_tokens,
        "vllm:generation_tokens_total",
    ),
    _Reading(
        "corral_preemptions_total",
        "Sequences parked for want of KV cells.",
        lambda stats: stats.preemptions,
        "vllm:num_preemptions_total",
    ),
    _Reading("corral_sequences_parked", "Sequences parked now.", lambda stats: stats.parked),
    _Reading("corral_resumes_total", "Parked sequences that went on.", lambda stats: stats.resumes),
    _Reading(
        "corral_tokens_recomputed_total",
        "Tokens of parked sequences that had to be computed again.",
        lambda stats: stats.recomputed_tokens,
    ),
    _Reading(
        "corral_prefix_cache_evictions_total",
        "Entries that left the prefix cache for want of room.",
        lambda stats: stats.cache_evictions,
    ),
    _Reading(
        "corral_speculation_draft_tokens_total",
        "Tokens guessed ahead.",
        lambda stats: stats.drafted_tokens,
        "vllm:spec_decode_num_draft_tokens_total",
    ),
    _Reading(
        "corral_speculation_accepted_tokens_total",
        "Tokens guessed ahead that were right.",
        lambda stats: stats.accepted_tokens,
        "vllm:spec_decode_num_accepted_tokens_total",
    ),
    _Reading(
        "corral_prefill_budget_tokens",
        "Prompt tokens that the next step may take.",
        lambda stats: stats.prefill_budget,
    ),
    _Reading(
        "corral_adapter_switches_total",
        "Steps that were the first under other adapters.",
        lambda stats: stats.adapter_switches,
    ),
    _Reading("corral_engine_steps_total", "Steps of the engine.", lambda stats: stats.steps),
    _Reading(
        "corral_engine_decode_seconds_total",
        "Time inside llama_decode.",
        lambda stats: stats.decode_seconds,
    ),
    _Reading(
        "corral_engine_overhead_seconds_total",
        "Time of steps outside llama_decode.",
        lambda stats: stats.overhead_seconds,
    ),
    _Reading(
        "corral_scheduler_heartbeat_timestamp_seconds",
        "When the engine thread last reported, in Unix time.",
        _heartbeat_time,
    ),
    _Reading(
        "corral_engine_up",
        "1 while the model is loaded and its engine lives.",
        lambda stats: int(stats.is_alive),
    ),
)
_REPLICA_READINGS = (
    _Reading("corral_replica_up", "1 while an engine lives.", lambda stats: int(stats.is_alive)),
    _Reading(
        "corral_replica_requests_running",
        "Sequences that an engine generates.",
        lambda stats: stats.running,
    ),
    _Reading(
        "corral_replica_requests_waiting",
        "Sequences in the queue of an engine.",
        lambda stats: stats.waiting,
    ),
    _Reading(
        "corral_replica_generated_tokens_total",
        "Tokens that an engine generated since it was made.",
        lambda stats: stats.generated_tokens,
    ),
)
_TIER_READINGS = (
    _TierReading(
        "corral_prefix_cache_tokens_total",
        "Prompt tokens found in the prefix cache, by where.",
        lambda stats: stats.cached_tokens_by_tier,
    ),
    _TierReading(
        "corral_prefix_cache_bytes",
        "Size of what the prefix cache holds of this model.",
        lambda stats: stats.cache_bytes_by_tier,
    ),
    _TierReading(
        "corral_prefix_cache_entries",
        "Entries that the prefix cache holds of this model.",
        lambda stats: stats.cache_entries_by_tier,
    ),
)
