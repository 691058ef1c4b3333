"""Metrics: the text is what Prometheus reads, and says what happened."""

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.models import ModelState
from app.core.records import GenerationRecord
from app.core.stats import EngineStats, PoolMemory
from app.telemetry.metrics import Metrics

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(metrics: Metrics) -> Samples:
    """Every sample, read by the parser of Prometheus' own client library."""
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def fill(metrics: Metrics) -> None:
    """Let everything happen once."""
    metrics.watch_pulls(lambda: 1, lambda: 0)
    stats = EngineStats(
        running=2,
        waiting=3,
        kv_tokens_used=25,
        kv_tokens_total=100,
        prompt_tokens=40,
        prompt_tokens_computed=30,
        cached_tokens=10,
        generated_tokens=7,
        steps=5,
        decode_seconds=1.5,
        heartbeat=time.monotonic(),
        finished={"stop": 4},
        cache_lookup_tokens=40,
        cached_tokens_by_tier={"live": 8, "disk": 2},
        cache_bytes_by_tier={"host": 4096},
        cache_entries_by_tier={"host": 2},
        cache_evictions=6,
        parked=1,
        resumes=9,
        recomputed_tokens=11,
        drafted_tokens=12,
        accepted_tokens=5,
        prefill_budget=128,
        adapters_running={"sql": 2, "fmt": 0},
        adapters_waiting={"sql": 0, "fmt": 3},
        adapter_switches=14,
    )
    states: dict[str, ModelState] = {"m": "hot", "n": "cold"}
    metrics.watch(lambda: {"m": stats}, lambda: states, lambda: PoolMemory({"m": 300}, 1000))
    for outcome in ("stop", "tool_calls", "length", "abort", "engine_failed"):
        metrics.observe_generation(
            GenerationRecord(
                "m", prompt_tokens=12, completion_tokens=3, total_seconds=0.4, outcome=outcome
            )
        )
    metrics.observe_ttft("m", 0.02)
    metrics.observe_inter_token("m", 0.004)
    metrics.observe_queue("m", 0.001)
    metrics.count_rejected("m", "queue_full")
    metrics.observe_cancel("m", 0.03)
    metrics.count_tool_parse_failure("hermes")
    metrics.observe_http("/v1/models", "GET", 200, 0.002)
    metrics.observe_load("m", 0.2)
    metrics.count_eviction("m", "least_recently_used")
    metrics.count_restart("m")


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(version="1.2.3", llama_build="b42")
    fill(made)
    return made


def test_own_names(metrics: Metrics) -> None:
    samples = scrape(metrics)
    assert value(samples, "corral_build_info", version="1.2.3", llama_cpp="b42") == 1
    assert value(samples, "corral_requests_running", model="m") == 2
    assert value(samples, "corral_kv_usage_ratio", model="m") == 0.25
    assert value(samples, "corral_prompt_tokens_cached_total", model="m") == 10
    assert value(samples, "corral_engine_decode_seconds_total", model="m") == 1.5
    assert value(samples, "corral_sequences_finished_total", model="m", reason="stop") == 4
    assert value(samples, "corral_model_state", model="m", state="hot") == 1
    assert value(samples, "corral_model_state", model="n", state="hot") == 0
    assert value(samples, "corral_model_memory_bytes", model="m") == 300
    assert value(samples, "corral_memory_budget_bytes") == 1000
    assert value(samples, "corral_requests_total", model="m", outcome="engine_failed") == 1
    assert value(samples, "corral_request_duration_seconds_count", model="m") == 5
    assert value(samples, "corral_request_prompt_tokens_sum", model="m") == 60
    assert value(samples, "corral_queue_rejected_total", model="m", reason="queue_full") == 1
    assert value(samples, "corral_engine_up", model="m") == 1
    route = {"route": "/v1/models", "method": "GET"}
    assert value(samples, "corral_http_requests_total", status="200", **route) == 1
    assert value(samples, "process_resident_memory_bytes") > 1_000_000
    heartbeat = value(samples, "corral_scheduler_heartbeat_timestamp_seconds", model="m")
    assert abs(heartbeat - time.time()) < 60


def test_the_prefix_cache_and_its_tiers(metrics: Metrics) -> None:
    samples = scrape(metrics)
    expected = {
        "corral_prefix_cache_tokens_total": (8, 0, 2),
        "corral_prefix_cache_bytes": (0, 4096, 0),
        "corral_prefix_cache_entries": (0, 2, 0),
    }
    for name, values in expected.items():
        for tier, number in zip(("live", "host", "disk"), values, strict=True):
            assert value(samples, name, model="m", tier=tier) == number, (name, tier)
    assert value(samples, "corral_prefix_cache_lookup_tokens_total", model="m") == 40
    assert value(samples, "corral_prefix_cache_evictions_total", model="m") == 6


def test_parking_and_speculation(metrics: Metrics) -> None:
    samples = scrape(metrics)
    assert value(samples, "corral_sequences_parked", model="m") == 1
    assert value(samples, "corral_resumes_total", model="m") == 9
    assert value(samples, "corral_tokens_recomputed_total", model="m") == 11
    assert value(samples, "corral_speculation_draft_tokens_total", model="m") == 12
    assert value(samples, "corral_speculation_accepted_tokens_total", model="m") == 5
    assert value(samples, "corral_prefill_budget_tokens", model="m") == 128


def test_histograms_count_up_to_their_bounds(metrics: Metrics) -> None:
    samples = scrape(metrics)
    name = "corral_time_to_first_token_seconds_bucket"
    assert value(samples, name, model="m", le="0.01") == 0
    assert value(samples, name, model="m", le="0.025") == 1
    assert value(samples, name, model="m", le="+Inf") == 1
    metrics.observe_ttft("m", 0.025)  # a bound belongs to its own bucket
    assert value(scrape(metrics), name, model="m", le="0.025") == 2


def test_the_same_figures_under_vllm_names(metrics: Metrics) -> None:
    samples = scrape(metrics)
    labels = {"model_name": "m", "engine": "0"}
    assert value(samples, "vllm:num_requests_running", **labels) == 2
    assert value(samples, "vllm:num_requests_waiting", **labels) == 3
    assert value(samples, "vllm:kv_cache_usage_perc", **labels) == 0.25
    assert value(samples, "vllm:prefix_cache_queries_total", **labels) == 40
    assert value(samples, "vllm:spec_decode_num_draft_tokens_total", **labels) == 12
    assert value(samples, "vllm:spec_decode_num_accepted_tokens_total", **labels) == 5
    assert value(samples, "vllm:prefix_cache_hits_total", **labels) == 10
    assert value(samples, "vllm:generation_tokens_total", **labels) == 7
    success = "vllm:request_success_total"
    assert value(samples, success, finished_reason="stop", **labels) == 2
    assert value(samples, success, finished_reason="abort", **labels) == 1
    assert value(samples, "vllm:time_to_first_token_seconds_count", **labels) == 1
    assert value(samples, "vllm:e2e_request_latency_seconds_sum", **labels) == 2.0


def test_vllm_names_can_be_switched_off() -> None:
    metrics = Metrics(has_aliases=False)
    fill(metrics)
    assert not [name for name, _ in scrape(metrics) if name.startswith("vllm:")]


def test_autoscalers_see_a_model_before_its_first_load() -> None:
    metrics = Metrics()
    metrics.watch(dict, lambda: {"n": "cold"}, PoolMemory)
    samples = scrape(metrics)
    for name in ("corral_requests_running", "corral_requests_waiting", "corral_kv_usage_ratio"):
        assert value(samples, name, model="n") == 0
    labels = {"model_name": "n", "engine": "0"}
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"):
        assert value(samples, f"vllm:{name}", **labels) == 0
    assert ("corral_engine_up", frozenset({("model", "n")})) not in samples


def test_no_times_of_creation(metrics: Metrics) -> None:
    assert not [name for name, _ in scrape(metrics) if name.endswith("_created")]


def test_an_alias_has_every_bucket_of_its_histogram(metrics: Metrics) -> None:
    metrics.observe_ttft("second", 3)
    samples = scrape(metrics)
    own = {
        (labels - {("model", model)}, model): count
        for (name, labels), count in samples.items()
        if name == "corral_time_to_first_token_seconds_bucket"
        for model in [dict(labels)["model"]]
    }
    assert len({model for _, model in own}) == 2
    for (labels, model), count in own.items():
        others = {**dict(labels), "model_name": model, "engine": "0"}
        assert value(samples, "vllm:time_to_first_token_seconds_bucket", **others) == count


def test_labels_are_escaped() -> None:
    metrics = Metrics()
    metrics.observe_load('a"b\\c\nd', 1)
    assert value(scrape(metrics), "corral_model_load_seconds_count", model='a"b\\c\nd') == 1


def test_a_scrape_before_anything_happened() -> None:
    assert value(scrape(Metrics(version="1")), "corral_build_info", version="1", llama_cpp="") == 1


def test_two_of_them_share_nothing(metrics: Metrics) -> None:
    other = Metrics()
    assert ("corral_model_load_seconds_count", frozenset({("model", "m")})) not in scrape(other)


def test_a_scrape_is_cheap(metrics: Metrics) -> None:
    """Scrapers may come every 50 ms; the best of a few runs, as this machine may be busy."""
    best = 1.0
    for _ in range(20):
        started = time.thread_time()
        metrics.render()
        best = min(best, time.thread_time() - started)
    assert best < 0.01
