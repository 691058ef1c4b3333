"""What Prometheus reads: `corral_*` families, and `vllm:*` names for tools that know only those.

One `Metrics` per app. Requests push their figures when they happen; figures of engines and of the
pool are read from their published snapshots at scrape time, so a scrape never waits for an engine
thread. docs/metrics.md explains every family.
"""

from collections.abc import Callable, Mapping

from app.core.models import ModelState
from app.core.records import GenerationRecord
from app.core.stats import EngineStats
from app.telemetry import snapshots
from app.telemetry.families import Counter, Histogram, Name, render_samples

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LATENCY_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40),
    *(50, 60, 120, 240, 480, 960),
)
INTER_TOKEN_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3),
    *(0.5, 0.75, 1, 2.5, 5),
)
TOKEN_BUCKETS = tuple(2**power for power in range(18))
CANCEL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LOAD_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
HTTP_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600)

Stats = Callable[[], Mapping[str, EngineStats]]
States = Callable[[], Mapping[str, ModelState]]

# How vLLM calls the ends of a request that were not failures.
_VLLM_REASONS = {"stop": "stop", "tool_calls": "stop", "length": "length", "abort": "abort"}


class Metrics:
    """Counts what happens and renders it for Prometheus. Call it from the event loop only."""

    def __init__(
        self, *, version: str = "", llama_build: str = "", has_aliases: bool = True
    ) -> None:
        self._build = (version, llama_build)
        self._has_aliases = has_aliases
        self._stats: Stats | None = None
        self._states: States | None = None
        self._make_request_families()
        self._make_service_families()

    def _make_request_families(self) -> None:
        self._requests = Counter(
            "corral_requests_total", "Generations that ended, by outcome.", ("model", "outcome")
        )
        self._duration = self._model_histogram(
            "corral_request_duration_seconds",
            "From acceptance to the end of a generation.",
            LATENCY_BUCKETS,
            "vllm:e2e_request_latency_seconds",
        )
        self._prompt = self._model_histogram(
            "corral_request_prompt_tokens",
            "Prompt tokens of a generation.",
            TOKEN_BUCKETS,
            "vllm:request_prompt_tokens",
        )
        self._generated = self._model_histogram(
            "corral_request_generated_tokens",
            "Generated tokens of a generation.",
            TOKEN_BUCKETS,
            "vllm:request_generation_tokens",
        )
        self._first_token = self._model_histogram(
            "corral_time_to_first_token_seconds",
            "From acceptance to the first token.",
            LATENCY_BUCKETS,
            "vllm:time_to_first_token_seconds",
        )
        self._inter_token = self._model_histogram(
            "corral_inter_token_latency_seconds",
            "Between two outputs of one sequence.",
            INTER_TOKEN_BUCKETS,
            "vllm:inter_token_latency_seconds",
        )
        self._queue = self._model_histogram(
            "corral_queue_wait_seconds",
            "From submission of a sequence to its admission.",
            LATENCY_BUCKETS,
            "vllm:request_queue_time_seconds",
        )
        self._cancel = self._model_histogram(
            "corral_cancel_latency_seconds",
            "From a cancellation to the end of the sequence.",
            CANCEL_BUCKETS,
        )

    def _make_service_families(self) -> None:
        self._rejected = Counter(
            "corral_queue_rejected_total",
            "Requests turned away, by error code.",
            ("model", "reason"),
        )
        self._tool_failures = Counter(
            "corral_toolcall_parse_failures_total",
            "Tool calls in an answer that could not be parsed.",
            ("parser",),
        )
        self._load = self._model_histogram(
            "corral_model_load_seconds", "Time that loading a model took.", LOAD_BUCKETS
        )
        self._evictions = Counter(
            "corral_evictions_total", "Models unloaded, by reason.", ("model", "reason")
        )
        self._restarts = Counter(
            "corral_worker_restarts_total", "Engines that died and were unloaded.", ("model",)
        )
        self._http = Counter(
            "corral_http_requests_total", "Requests answered.", ("route", "method", "status")
        )
        self._http_duration = Histogram(
            "corral_http_request_duration_seconds",
            "From the arrival of a request to the last byte of its answer.",
            ("route", "method"),
            HTTP_BUCKETS,
        )

    def observe_generation(self, record: GenerationRecord) -> None:
        """A generation ended. Its first token and queue time are observed on their own."""
        self._requests.increase(record.model, record.outcome)
        if record.total_seconds is not None:
            self._duration.observe(record.total_seconds, record.model)
        if record.prompt_tokens:
            self._prompt.observe(record.prompt_tokens, record.model)
        if record.completion_tokens:
            self._generated.observe(record.completion_tokens, record.model)

    def observe_ttft(self, model: str, seconds: float) -> None:
        self._first_token.observe(seconds, model)

    def observe_inter_token(self, model: str, seconds: float) -> None:
        self._inter_token.observe(seconds, model)

    def observe_queue(self, model: str, seconds: float) -> None:
        self._queue.observe(seconds, model)

    def count_rejected(self, model: str, reason_code: str) -> None:
        """`reason_code` is that of the error the caller got: queue_full, queue_timeout, ..."""
        self._rejected.increase(model, reason_code)

    def observe_cancel(self, model: str, seconds: float) -> None:
        self._cancel.observe(seconds, model)

    def count_tool_parse_failure(self, parser: str) -> None:
        self._tool_failures.increase(parser)

    def observe_http(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` is the pattern that matched, never the raw path: it must stay countable."""
        self._http.increase(route, method, str(status))
        self._http_duration.observe(seconds, route, method)

    def observe_load(self, model: str, seconds: float) -> None:
        self._load.observe(seconds, model)

    def count_eviction(self, model: str, reason: str) -> None:
        self._evictions.increase(model, reason)

    def count_restart(self, model: str) -> None:
        self._restarts.increase(model)

    def watch(self, stats: Stats, states: States) -> None:
        """Read the engines' snapshots and the models' states at every scrape."""
        self._stats = stats
        self._states = states

    def render(self) -> tuple[bytes, str]:
        """The exposition text and its content type."""
        name = Name("corral_build_info", "Always 1; the labels say what runs.", _BUILD_LABELS)
        parts = [render_samples(name, "gauge", [(self._build, 1)])]
        parts.extend(family.render() for family in self._families())
        if self._states is not None:
            parts.append(snapshots.render_states(self._states()))
        if self._stats is not None:
            parts.append(snapshots.render_engines(self._stats(), has_aliases=self._has_aliases))
        if self._has_aliases:
            parts.append(self._render_success())
        parts.append(snapshots.render_process())
        return "".join(parts).encode(), CONTENT_TYPE

    def _families(self) -> tuple[Counter | Histogram, ...]:
        return (
            *(self._requests, self._duration, self._prompt, self._generated, self._first_token),
            *(self._inter_token, self._queue, self._cancel, self._rejected, self._tool_failures),
            *(self._load, self._evictions, self._restarts, self._http, self._http_duration),
        )

    def _render_success(self) -> str:
        counts: dict[tuple[str, ...], int] = {}
        for (model, outcome), count in self._requests.read().items():
            if reason := _VLLM_REASONS.get(outcome):
                counts[model, reason] = counts.get((model, reason), 0) + count
        name = snapshots.alias(
            "vllm:request_success_total", "Requests that ended well.", "finished_reason"
        )
        return render_samples(name, "counter", counts.items())

    def _model_histogram(
        self, name: str, text: str, buckets: tuple[float, ...], alias: str | None = None
    ) -> Histogram:
        names = [snapshots.alias(alias, text)] if alias and self._has_aliases else []
        return Histogram(name, text, ("model",), buckets, names)


_BUILD_LABELS = ("version", "llama_cpp")
