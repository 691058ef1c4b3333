"""What adapters are used by, as metric families."""

import time
from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from app.core.stats import EngineStats

_LABELS = ("model", "adapter")
_ALIAS = "vllm:lora_requests_info"
# routers read these of vLLM's: names of adapters as models, joined by commas
_ALIAS_LABELS = (
    *("model_name", "engine"),
    *("max_lora", "running_lora_adapters", "waiting_lora_adapters"),
)


def collect_adapters(stats: Mapping[str, EngineStats], *, has_alias: bool) -> Iterator[Metric]:
    """Samples for each adapter of a model that is loaded."""
    running = GaugeMetricFamily(
        "corral_adapter_sequences_running",
        "Sequences being generated under an adapter.",
        labels=_LABELS,
    )
    waiting = GaugeMetricFamily(
        "corral_adapter_sequences_waiting",
        "Sequences in the queue that are to be generated under an adapter.",
        labels=_LABELS,
    )
    for model, snapshot in stats.items():
        for family, counts in (
            (running, snapshot.adapters_running),
            (waiting, snapshot.adapters_waiting),
        ):
            for adapter, count in counts.items():
                family.add_metric((model, adapter), count)
    yield running
    yield waiting
    if has_alias:
        yield _collect_alias(stats)


def _collect_alias(stats: Mapping[str, EngineStats]) -> Metric:
    family = GaugeMetricFamily(
        _ALIAS, "When the labels were so, in Unix time.", labels=_ALIAS_LABELS
    )
    for model, snapshot in stats.items():
        if snapshot.adapters_running:
            most = str(len(snapshot.adapters_running))
            running = _join(model, snapshot.adapters_running)
            waiting = _join(model, snapshot.adapters_waiting)
            family.add_metric((model, "0", most, running, waiting), time.time())
    return family


def _join(model: str, counts: Mapping[str, int]) -> str:
    return ",".join(f"{model}:{name}" for name, count in counts.items() if count)
