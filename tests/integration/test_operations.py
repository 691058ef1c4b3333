"""What an operator sees: probes, metrics, and one log line for each request."""

import asyncio
import json
from typing import Any

import pytest

from tests.integration.load import CHAT, COMPLETIONS, ENDLESS, lasting, open_running, wait_metric
from tests.support.server import MODEL, Server, wait_until
from tests.support.wire import ask

ALIASES = {
    "vllm:num_requests_running": "gauge",
    "vllm:num_requests_waiting": "gauge",
    "vllm:kv_cache_usage_perc": "gauge",
    "vllm:prefix_cache_queries": "counter",
    "vllm:prefix_cache_hits": "counter",
    "vllm:prompt_tokens": "counter",
    "vllm:generation_tokens": "counter",
    "vllm:request_success": "counter",
    "vllm:time_to_first_token_seconds": "histogram",
    "vllm:inter_token_latency_seconds": "histogram",
    "vllm:e2e_request_latency_seconds": "histogram",
    "vllm:request_queue_time_seconds": "histogram",
}
SECRET = "nobody but the model reads about the zebra Quagganda"


def ask_about(text: str, **parameters: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **parameters}


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/startupz"])
def test_probes(server: Server, path: str) -> None:
    answer = server.get(path)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def test_health_is_what_other_servers_say(server: Server) -> None:
    assert server.get("/health").json() == {"status": "ok"}


def test_families(server: Server) -> None:
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = server.metrics().families
    assert {name: families.get(name) for name in ALIASES} == ALIASES
    own = [name for name in families if not name.startswith(("vllm:", "process_"))]
    assert all(name.startswith("corral_") for name in own)
    assert len(own) > 20


async def test_counters_move_with_a_request(server: Server) -> None:
    before = server.metrics()
    asked = ask_about("Hello!", max_tokens=8, temperature=0, ignore_eos=True)
    answer = await ask(server.port, "POST", CHAT, asked)
    usage = answer.json()["usage"]
    after = server.metrics()

    def moved(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert moved("corral_requests_total", model=MODEL, outcome="length") == 1
    assert moved("vllm:request_success_total", model_name=MODEL, finished_reason="length") == 1
    assert moved("corral_generated_tokens_total", model=MODEL) == 8
    assert moved("vllm:generation_tokens_total", model_name=MODEL) == 8
    assert moved("vllm:prompt_tokens_total", model_name=MODEL) == usage["prompt_tokens"]
    assert moved("corral_prompt_tokens_computed_total", model=MODEL) <= usage["prompt_tokens"]
    assert moved("vllm:time_to_first_token_seconds_count", model_name=MODEL) == 1
    assert moved("vllm:e2e_request_latency_seconds_count", model_name=MODEL) == 1
    assert moved("vllm:request_queue_time_seconds_count", model_name=MODEL) == 1
    assert moved("vllm:inter_token_latency_seconds_count", model_name=MODEL) == 7
    assert moved("corral_request_generated_tokens_sum", model=MODEL) == 8
    assert moved("corral_engine_steps_total", model=MODEL) >= 8
    http = {"route": CHAT, "method": "POST", "status": "200"}
    assert moved("corral_http_requests_total", **http) == 1


async def test_gauges_move_with_a_request(server: Server) -> None:
    assert server.metrics().value("corral_engine_up", model=MODEL) == 1
    assert server.metrics().value("corral_model_state", model=MODEL, state="hot") == 1
    events = await open_running(server, ENDLESS)
    await wait_metric(server, "vllm:num_requests_running", 1)
    busy = server.metrics()
    assert 0 < busy.value("vllm:kv_cache_usage_perc", model_name=MODEL) <= 1
    assert busy.value("corral_kv_tokens_used", model=MODEL) > 0
    await events.close()
    await wait_metric(server, "vllm:num_requests_running", 0)
    await wait_metric(server, "vllm:kv_cache_usage_perc", 0)


async def test_made_up_paths_do_not_grow_the_metrics(server: Server) -> None:
    await asyncio.gather(*(ask(server.port, "GET", f"/made/up/{n}") for n in range(20)))
    text = server.get("/metrics").text
    assert "/made/up" not in text


async def test_one_line_for_each_request_and_never_a_prompt(server: Server) -> None:
    asked = ask_about(SECRET, max_tokens=4, temperature=0, ignore_eos=True, made_up=1)
    headers = {"x-request-id": "log-line-of-the-test"}
    answer = await ask(server.port, "POST", CHAT, asked, headers)
    assert answer.headers["x-request-id"] == "log-line-of-the-test"
    assert "made_up" in answer.headers["x-corral-ignored"]
    refused = await ask(server.port, "POST", CHAT, {**asked, "n": SECRET}, headers)
    assert refused.status == 400

    def lines() -> list[dict[str, Any]]:
        found = [line for line in server.lines if "log-line-of-the-test" in line]
        return [json.loads(line) for line in found]

    await asyncio.to_thread(wait_until, lambda: len(lines()) == 2, "two log lines")
    good, bad = lines()
    assert good["model"] == MODEL
    assert good["status"] == 200
    assert good["outcome"] == "length"
    assert good["completion_tokens"] == 4
    assert good["prompt_tokens"] == answer.json()["usage"]["prompt_tokens"]
    for name in ("queue_seconds", "ttft_seconds", "tokens_per_second"):
        assert good[name] >= 0
    assert bad["status"] == 400
    assert bad["error"] == "invalid_value"
    assert "Quagganda" not in server.log


async def test_the_log_says_who_left(server: Server) -> None:
    before = len(server.lines)
    events = await open_running(server, lasting(30_000))
    await events.close()

    def has_line() -> bool:
        return any('"abort"' in line and COMPLETIONS in line for line in server.lines[before:])

    await asyncio.to_thread(wait_until, has_line, "the line of the request that was left")


async def test_unknown_paths_and_methods(server: Server) -> None:
    unknown = await ask(server.port, "POST", "/chat/completions", ask_about("Hi"))
    assert unknown.status == 404
    assert unknown.error["code"] == "route_not_found"
    assert "/v1/chat/completions" in unknown.error["message"]
    wrong = await ask(server.port, "GET", "/v1/embeddings")
    assert wrong.status == 405
    assert wrong.error["code"] == "method_not_allowed"
    assert wrong.headers["allow"] == "POST"
