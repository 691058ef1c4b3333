"""Request ids, log lines, keys, CORS, drain."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from pydantic import SecretStr

from app.core.errors import ConfigurationError, QueueFull
from tests.unit.api.served import CHAT, chat, serve
from tests.unit.services.scripted import Script

OPS = ["/", "/health", "/livez", "/readyz", "/startupz", "/metrics"]


@pytest.mark.parametrize("given", ["abc-123", "x" * 128, "!~"])
async def test_request_ids_are_echoed(given: str) -> None:
    response = await serve().get("/health", **{"x-request-id": given})
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "caf\xe9"])
async def test_odd_request_ids_are_replaced(given: str) -> None:
    async with serve().client() as client:
        headers = {b"x-request-id": given.encode("latin-1")}
        response = await client.get("/health", headers=headers)
    assert response.headers["x-request-id"].startswith("req_")


async def test_processing_time() -> None:
    response = await serve().get("/v1/models")
    assert int(response.headers["openai-processing-ms"]) >= 0


async def test_the_log_line() -> None:
    served = serve(Script(("a", "b")), api_key=SecretStr("k1"))
    with structlog.testing.capture_logs() as logs:
        await served.post(CHAT, chat(zebra=1), authorization="Bearer k1")
    (line,) = [entry for entry in logs if entry["event"] == "request"]
    assert line["log_level"] == "info"
    expected = {
        "method": "POST",
        "route": CHAT,
        "status": 200,
        "model": "org/tiny:q8",
        "prompt_tokens": 22,
        "completion_tokens": 2,
        "outcome": "stop",
        "ignored": ["zebra"],
    }
    assert expected.items() <= line.items()
    assert {"id", "seconds", "queue_seconds", "ttft_seconds", "tokens_per_second"} <= set(line)
    assert len(line["key_id"]) == 8
    told = repr({**line, "id": "", "key_id": ""})  # letters by chance
    assert "Hi" not in told
    assert "k1" not in told


async def test_refusals_have_a_log_line_too() -> None:
    served = serve()
    served.engine.refusal = QueueFull("full")
    with structlog.testing.capture_logs() as logs:
        await served.post(CHAT, chat())
    (line,) = [entry for entry in logs if entry["event"] == "request"]
    assert (line["status"], line["error"]) == (429, "queue_full")


async def test_refusals_name_the_model_and_their_reason() -> None:
    served = serve()
    with structlog.testing.capture_logs() as logs:
        await served.post(CHAT, chat(temperature=9))
        await served.post(CHAT, chat() | {"model": "nobody/" + "x" * 400})
        await served.post("/v1/embeddings", {"model": "e", "input": []})
    lines = [entry for entry in logs if entry["event"] == "request"]
    told = [(line["model"], line["outcome"], line["error"]) for line in lines]
    assert told == [
        ("org/tiny:q8", "invalid_value", "invalid_value"),
        ("nobody/" + "x" * 121, "model_not_found", "model_not_found"),
        ("e", "invalid_value", "invalid_value"),
    ]


async def test_the_log_has_no_secrets_of_a_source() -> None:
    source = "https://u:PW@h.example:81/x.gguf?sig=SIGNED"
    served = serve()
    with structlog.testing.capture_logs() as lines:
        assert (await served.post("/api/pull", {"model": source})).status_code == 400
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["model"] == "https://h.example:81/x.gguf"
    assert "PW" not in str(lines)
    assert "SIGNED" not in str(lines)


async def test_ignored_names_are_short_in_the_log() -> None:
    with structlog.testing.capture_logs() as logs:
        await serve().post(CHAT, chat(**{"x" * 50_000: 1}))
    (line,) = [entry for entry in logs if entry["event"] == "request"]
    assert line["ignored"] == ["x" * 64]


async def test_refusals_on_the_way_count_for_their_route() -> None:
    served = serve(api_key=SecretStr("k"), max_body_bytes=100)
    await served.get("/v1/models/org/tiny:q8")
    await served.get("/nowhere")
    await served.post(CHAT, chat(user="x" * 100), authorization="Bearer k")
    served.gate.close()
    await served.post("/v1/embeddings", {})
    assert [call for call in served.metrics.calls if call[0] == "http"] == [
        ("http", "/v1/models/{id:path}", "GET", 401),
        ("http", "unmatched", "GET", 401),
        ("http", CHAT, "POST", 413),
        ("http", "/v1/embeddings", "POST", 503),
    ]


async def test_probes_are_logged_quietly() -> None:
    with structlog.testing.capture_logs() as logs:
        await serve().get("/health")
    assert [entry["log_level"] for entry in logs] == ["debug"]


async def test_http_metrics_know_routes_not_paths() -> None:
    served = serve()
    await served.get("/v1/models/org/tiny:q8")
    await served.get("/some/path")
    async with served.client() as client:
        await client.request("BREW", "/v1/models")
    assert [call for call in served.metrics.calls if call[0] == "http"] == [
        ("http", "/v1/models/{id:path}", "GET", 200),
        ("http", "unmatched", "GET", 404),
        ("http", "/v1/models", "OTHER", 405),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer k1"},
        {"authorization": "bearer k2"},
        {"x-api-key": "k3"},
        {"authorization": "Basic abc", "x-api-key": "k1"},
    ],
)
async def test_known_keys(headers: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# team\nk2\n\n k3  # spare\n", encoding="utf-8")
    served = serve(api_key=SecretStr("k1"), api_keys_file=file)
    assert (await served.get("/v1/models", **headers)).status_code == 200


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
async def test_keys_beyond_ascii(name: str, encoding: str) -> None:
    served = serve(api_key=SecretStr(" clé à\n"))
    value = ("Bearer clé à" if name == "authorization" else "clé à").encode(encoding)
    async with served.client() as client:
        response = await client.get("/v1/models", headers={name.encode(): value})
    assert response.status_code == 200


@pytest.mark.parametrize("key", ["a#b", "c", "#d"])
async def test_comments_in_a_keys_file(key: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("a#b\nc # of the team\n#d\n\t# e\n", encoding="utf-8")
    response = await serve(api_keys_file=file).get("/v1/models", **{"x-api-key": key})
    assert response.status_code == (401 if key == "#d" else 200)


@pytest.mark.parametrize("text", ["", "\n # only a comment\n"])
async def test_a_keys_file_without_a_key(text: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no key"):
        serve(api_keys_file=file)


async def test_a_key_of_white_space_does_not_open_the_door() -> None:
    with pytest.raises(ConfigurationError, match="LLM_API_KEY"):
        serve(api_key=SecretStr(" \n"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer no"},
        {"authorization": "k1"},
        {"x-api-key": ""},
        {"x-api-key": "K1"},
    ],
)
async def test_wrong_keys(headers: dict[str, str]) -> None:
    response = await serve(api_key=SecretStr("k1")).get("/v1/models", **headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")


async def test_without_keys_any_key_is_taken() -> None:
    response = await serve().get("/v1/models", authorization="Bearer whatever")
    assert response.status_code == 200


async def test_a_keys_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        serve(api_keys_file=tmp_path / "none")


@pytest.mark.parametrize("path", OPS)
async def test_probes_need_no_key(path: str) -> None:
    assert (await serve(api_key=SecretStr("k")).get(path)).status_code == 200


async def test_cors() -> None:
    served = serve(api_key=SecretStr("k"))
    asked = {
        "origin": "http://app.test",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, x-stainless-os",
    }
    async with served.client() as client:
        preflight = await client.options(CHAT, headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "x-stainless-os" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in preflight.headers
    refused = await served.get("/v1/models", origin="http://app.test")
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"
    assert "x-request-id" in refused.headers["access-control-expose-headers"]


async def test_cors_for_some_origins_or_none() -> None:
    some = serve(cors_origins=("http://a.test",))
    assert "access-control-allow-origin" in (await some.get("/", origin="http://a.test")).headers
    assert (
        "access-control-allow-origin" not in (await some.get("/", origin="http://b.test")).headers
    )
    off = await serve(cors_origins=("none",)).get("/", origin="http://a.test")
    assert "access-control-allow-origin" not in off.headers


async def test_drain() -> None:
    served = serve()
    served.gate.close()
    response = await served.post(CHAT, chat())
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "draining"
    assert response.headers["connection"] == "close"
    assert int(response.headers["retry-after"]) > 0
    ready = await served.get("/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "draining")
    assert (await served.get("/livez")).status_code == 200
    assert (await served.get("/startupz")).status_code == 200
    assert (await served.get("/metrics")).status_code == 200


async def test_the_gate_counts_what_is_being_answered() -> None:
    served = serve()
    seen: list[int] = []
    find = served.pool.find

    def look(model: str) -> Any:
        seen.append(served.gate.running)
        return find(model)

    served.pool.find = look
    await served.post(CHAT, chat())
    assert seen[0] == 1
    assert served.gate.running == 0
    await served.gate.wait_idle()


@pytest.mark.parametrize(
    ("state", "path", "status", "body"),
    [
        ({}, "/health", 200, {"status": "ok"}),
        ({"is_ready": False}, "/health", 503, {"status": "loading"}),
        ({}, "/readyz", 200, {"status": "ok"}),
        ({"is_ready": False}, "/readyz", 503, {"status": "not ready", "reason": "loading"}),
        ({"is_ready": False}, "/startupz", 503, {"status": "starting", "reason": "loading"}),
        ({"is_ready": False}, "/livez", 200, {"status": "ok"}),
        (
            {"is_alive": False},
            "/livez",
            503,
            {"status": "failed", "reason": "an engine has stopped"},
        ),
    ],
)
async def test_probes(state: dict[str, Any], path: str, status: int, body: object) -> None:
    served = serve()
    for name, value in state.items():
        setattr(served.pool, name, value)
    response = await served.get(path)
    assert (response.status_code, response.json()) == (status, body)


async def test_front_page_and_metrics() -> None:
    served = serve()
    page = (await served.get("/")).json()
    assert page["name"] == "corral"
    assert page["links"]["models"] == "/v1/models"
    async with served.client() as client:
        assert (await client.head("/")).status_code == 200
    metrics = await served.get("/metrics")
    assert metrics.text == "# metrics\n"
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_options_can_be_replaced() -> None:
    assert replace(serve().options, max_n=3).max_n == 3
