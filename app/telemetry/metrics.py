"""What Prometheus reads: `corral_*` families, and `vllm:*` names for tools that know only those.

One `Metrics` per app. Requests push their figures when they happen; figures of engines and of the
pool are read from their published snapshots at scrape time, so a scrape never waits for an engine
thread. docs/metrics.md explains every family.
"""

from collections.abc import Callable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from app.core.pulls import PullOutcome
from app.core.records import GenerationRecord
from app.telemetry.events import EventCollector
from app.telemetry.snapshots import OWN_LABELS, Memory, SnapshotCollector, States, Stats
from app.telemetry.store import StoreMetrics

# Every bucket is a line for each child and each alias, and so a part of what a scrape costs.
LATENCY_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2.5, 5, 10, 20, 30, 60, 120),
    *(240, 480),
)
INTER_TOKEN_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3),
    *(0.5, 0.75, 1, 2.5, 5),
)
TOKEN_BUCKETS = tuple(2**power for power in range(18))
CANCEL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
WARM_START_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
LOAD_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
HTTP_BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300)


class Metrics:
    """Counts what happens and renders it for Prometheus. Call it from the event loop only."""

    def __init__(
        self, *, version: str = "", llama_build: str = "", has_aliases: bool = True
    ) -> None:
        self.first_tokens = (0, 0.0)
        """How many answers have begun, and the seconds of all together until they did."""
        self.store = StoreMetrics()
        self._make_request_families()
        self._make_service_families()
        self._snapshots = SnapshotCollector(has_aliases=has_aliases)
        build = Info("corral_build", "Always 1; the labels say what runs.", registry=None)
        build.info({"version": version, "llama_cpp": llama_build})
        self._registry = CollectorRegistry()
        self._registry.register(build)
        self._registry.register(self._make_event_collector(has_aliases=has_aliases))
        self._registry.register(self._snapshots)
        ProcessCollector(registry=self._registry)

    def _make_request_families(self) -> None:
        self._requests = _counter(
            "corral_requests_total", "Generations that ended, by outcome.", "model", "outcome"
        )
        self._duration = _histogram(
            "corral_request_duration_seconds",
            "From acceptance to the end of a generation.",
            LATENCY_BUCKETS,
        )
        self._prompt = _histogram(
            "corral_request_prompt_tokens", "Prompt tokens of a generation.", TOKEN_BUCKETS
        )
        self._generated = _histogram(
            "corral_request_generated_tokens", "Generated tokens of a generation.", TOKEN_BUCKETS
        )
        self._first_token = _histogram(
            "corral_time_to_first_token_seconds",
            "From acceptance to the first token.",
            LATENCY_BUCKETS,
        )
        self._inter_token = _histogram(
            "corral_inter_token_latency_seconds",
            "Between two outputs of one sequence.",
            INTER_TOKEN_BUCKETS,
        )
        # by model: to find one by its label is a tenth of what a streamed token costs
        self._latencies: dict[str, Histogram] = {}
        self._queue = _histogram(
            "corral_queue_wait_seconds",
            "From submission of a sequence to its admission.",
            LATENCY_BUCKETS,
        )
        self._cancel = _histogram(
            "corral_cancel_latency_seconds",
            "From a cancellation to the end of the sequence.",
            CANCEL_BUCKETS,
        )

    def _make_service_families(self) -> None:
        self._rejected = _counter(
            "corral_queue_rejected_total",
            "Requests turned away, by error code.",
            *("model", "reason"),
        )
        self._tool_failures = _counter(
            "corral_toolcall_parse_failures_total",
            "Tool calls in an answer that could not be parsed.",
            "parser",
        )
        self._load = _histogram(
            "corral_model_load_seconds", "Time that loading a model took.", LOAD_BUCKETS
        )
        self._warm_start = _histogram(
            "corral_model_warm_start_seconds",
            "Time until a warm model was hot again.",
            WARM_START_BUCKETS,
        )
        self._cooled = _counter(
            "corral_models_cooled_total", "Models that went warm, by reason.", "model", "reason"
        )
        self._evictions = _counter(
            "corral_evictions_total", "Models unloaded, by reason.", "model", "reason"
        )
        self._pulls = _counter("corral_pulls_total", "Downloads that ended, by outcome.", "outcome")
        for outcome in get_args(PullOutcome):
            self._pulls.labels(outcome)
        self._pull_bytes = _counter("corral_pull_bytes_total", "Bytes downloaded.")
        self._restarts = _counter(
            "corral_worker_restarts_total", "Engines that died and were unloaded.", "model"
        )
        self._http = _counter(
            "corral_http_requests_total", "Requests answered.", "route", "method", "status"
        )
        self._http_duration = _histogram(
            "corral_http_request_duration_seconds",
            "From the arrival of a request to the last byte of its answer.",
            HTTP_BUCKETS,
            *("route", "method"),
        )

    def _make_event_collector(self, *, has_aliases: bool) -> EventCollector:
        own = (
            *(self._requests, self._duration, self._prompt, self._generated, self._first_token),
            *(self._inter_token, self._queue, self._cancel, self._rejected, self._tool_failures),
            *(
                self._load,
                self._warm_start,
                self._cooled,
                self._evictions,
                self._pulls,
                self._pull_bytes,
                self._restarts,
                self._http,
                self._http_duration,
            ),
            *self.store.families,
        )
        aliases: dict[Counter | Histogram | Gauge, str] = {
            self._duration: "vllm:e2e_request_latency_seconds",
            self._prompt: "vllm:request_prompt_tokens",
            self._generated: "vllm:request_generation_tokens",
            self._first_token: "vllm:time_to_first_token_seconds",
            self._inter_token: "vllm:inter_token_latency_seconds",
            self._queue: "vllm:request_queue_time_seconds",
        }
        if not has_aliases:
            return EventCollector(own)
        return EventCollector(own, aliases, self._requests)

    def observe_generation(self, record: GenerationRecord) -> None:
        """A generation ended. Its first token and queue time are observed on their own."""
        self._requests.labels(record.model, record.outcome).inc()
        if record.total_seconds is not None:
            self._duration.labels(record.model).observe(record.total_seconds)
        if record.prompt_tokens:
            self._prompt.labels(record.model).observe(record.prompt_tokens)
        if record.completion_tokens:
            self._generated.labels(record.model).observe(record.completion_tokens)

    def observe_ttft(self, model: str, seconds: float) -> None:
        self._first_token.labels(model).observe(seconds)
        count, total = self.first_tokens
        self.first_tokens = count + 1, total + seconds

    def observe_inter_token(self, model: str, seconds: float, tokens: int = 1) -> None:
        """`seconds` before each of so many tokens."""
        latency = self._latencies.get(model)
        if latency is None:
            latency = self._latencies[model] = self._inter_token.labels(model)
        for _ in range(tokens):
            latency.observe(seconds)

    def observe_queue(self, model: str, seconds: float) -> None:
        self._queue.labels(model).observe(seconds)

    def count_rejected(self, model: str, reason_code: str) -> None:
        """`reason_code` is that of the error the caller got: queue_full, queue_timeout, ..."""
        self._rejected.labels(model, reason_code).inc()

    def observe_cancel(self, model: str, seconds: float) -> None:
        self._cancel.labels(model).observe(seconds)

    def count_tool_parse_failure(self, parser: str) -> None:
        self._tool_failures.labels(parser).inc()

    def observe_http(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` is the pattern that matched, never the raw path: it must stay countable."""
        self._http.labels(route, method, status).inc()
        self._http_duration.labels(route, method).observe(seconds)

    def observe_load(self, model: str, seconds: float) -> None:
        self._load.labels(model).observe(seconds)

    def observe_warm_start(self, model: str, seconds: float) -> None:
        self._warm_start.labels(model).observe(seconds)

    def count_cooling(self, model: str, reason: str) -> None:
        self._cooled.labels(model, reason).inc()

    def count_eviction(self, model: str, reason: str) -> None:
        self._evictions.labels(model, reason).inc()

    def count_pull(self, outcome: PullOutcome) -> None:
        self._pulls.labels(outcome).inc()

    def count_pull_bytes(self, count: int) -> None:
        self._pull_bytes.inc(count)

    def watch_pulls(self, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        """Read at every scrape how many downloads run and how many wait for them."""
        for name, text, read in (
            ("corral_pulls_running", "Models that are being downloaded.", running),
            ("corral_pulls_waiting", "Models that wait for those to be downloaded.", waiting),
        ):
            Gauge(name, text, registry=self._registry).set_function(read)

    def count_restart(self, model: str) -> None:
        self._restarts.labels(model).inc()

    def watch(self, stats: Stats, states: States, memory: Memory) -> None:
        """Read the engines' snapshots, the models' states and sizes at every scrape."""
        self._snapshots.watch(stats, states, memory)

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type: the plain text that every scraper reads."""
        encode, content_type = choose_encoder("")
        return encode(self._registry), content_type


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=None)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, text, labels or OWN_LABELS, buckets=buckets, registry=None)
