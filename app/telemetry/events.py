"""What was counted as it happened, under Corral's names and vLLM's."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from app.telemetry.snapshots import ALIAS_LABELS, ENGINE

# How vLLM calls the ends of a request that were not failures.
_VLLM_REASONS = {"stop": "stop", "tool_calls": "stop", "length": "length", "abort": "abort"}


class EventCollector(Collector):
    """Collects `own`, none of which is in a registry itself.

    Each of `aliases` is shown under its second name, and `requests` as vLLM's count of successes.
    Children's times of creation are left out: they double a scrape, and nobody here reads them.
    """

    def __init__(
        self,
        own: Sequence[Counter | Histogram | Gauge],
        aliases: Mapping[Counter | Histogram | Gauge, str] | None = None,
        requests: Counter | None = None,
    ) -> None:
        self._own = own
        self._aliases = aliases or {}
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        for source in self._own:
            alias = self._aliases.get(source)
            for family in source.collect():
                created = f"{family.name}_created"
                family.samples = [item for item in family.samples if item.name != created]
                yield family
                if alias is not None:
                    yield _rename(family, alias)
                if source is self._requests:
                    yield _count_successes(family)


def _rename(family: Metric, name: str) -> Metric:
    """The same distribution in vLLM's dialect."""
    renamed = HistogramMetricFamily(name, family.documentation, labels=ALIAS_LABELS)
    buckets: list[tuple[str, float]] = []
    for sample in family.samples:
        if "le" in sample.labels:
            buckets.append((sample.labels["le"], sample.value))
        elif sample.name.endswith("_sum"):  # the last of a child
            renamed.add_metric((sample.labels["model"], ENGINE), buckets, sample.value)
            buckets = []
    return renamed


def _count_successes(requests: Metric) -> Metric:
    counts: dict[tuple[str, str], float] = {}
    for sample in requests.samples:
        if reason := _VLLM_REASONS.get(sample.labels["outcome"]):
            key = (sample.labels["model"], reason)
            counts[key] = counts.get(key, 0) + sample.value
    family = CounterMetricFamily(
        "vllm:request_success_total",
        "Requests that ended well.",
        labels=(*ALIAS_LABELS, "finished_reason"),
    )
    for (model, reason), count in counts.items():
        family.add_metric((model, ENGINE, reason), count)
    return family
