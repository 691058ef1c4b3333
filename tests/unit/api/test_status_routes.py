"""`/admin/status`, `/admin/requests` and `/admin/settings`."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import structlog.testing

from app.core.stats import EngineStats
from tests.unit.api.served import CHAT, Served, chat, listen, serve
from tests.unit.services.scripted import Script


async def read(served: Served, path: str) -> dict[str, Any]:
    response = await served.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def test_the_status_tells_of_models_and_samples() -> None:
    served = serve()
    served.pool.stats = lambda: {"m": EngineStats(running=2)}
    served.status.take_sample()
    told = await read(served, "/admin/status")
    assert (told["state"], told["llama_cpp"]) == ("ready", "b1234")
    assert {"version", "started_at", "devices", "memory", "interval_seconds"} <= set(told)
    (model,) = told["models"]
    assert (model["id"], model["running"], model["generated_per_second"]) == ("m", 2, 0)
    (sample,) = told["samples"]
    assert (sample["running"], sample["ttft_seconds"]) == (2, None)
    assert (await read(served, f"/admin/status?since={sample['time']}"))["samples"] == []


async def test_the_status_is_told_while_the_server_drains() -> None:
    served = serve()
    served.gate.close()
    assert (await read(served, "/admin/status"))["state"] == "draining"


async def test_requests_are_told_as_in_the_log_without_prompts() -> None:
    served = serve(Script(("a", "b")), Script(("c",)))
    await served.post(CHAT, chat())
    await served.post(CHAT, {"model": "nobody"})
    first, second = (await read(served, "/admin/requests"))["requests"]
    assert (first["route"], first["status"], first["completion_tokens"]) == (CHAT, 200, 2)
    assert (second["status"], second["number"]) == (400, 2)
    assert first["ended_at"] <= second["ended_at"]
    assert "Hi" not in json.dumps([first, second])
    later = await read(served, "/admin/requests?after=1")
    assert [entry["number"] for entry in later["requests"]] == [2]


async def test_watching_does_not_fill_the_log() -> None:
    served = serve()
    with structlog.testing.capture_logs() as logs:
        for path in ("/admin/status", "/admin/requests", "/"):
            await served.get(path)
    assert {entry["log_level"] for entry in logs} == {"debug"}
    assert (await read(served, "/admin/requests"))["requests"] == []


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/admin/status?since=yesterday", "since"),
        ("/admin/status?since=-1", "since"),
        ("/admin/requests?after=nan", "after"),
        ("/admin/requests?after=inf", "after"),
        ("/admin/requests?stream=perhaps", "stream"),
    ],
)
async def test_wrong_queries_are_refused(path: str, param: str) -> None:
    response = await serve().get(path)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_requests_are_streamed_as_they_end() -> None:
    served = serve(Script(("a",)))
    with listen(served.app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            async with client.stream("GET", "/admin/requests?stream=true") as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                lines = response.aiter_lines()
                asked = asyncio.ensure_future(client.post(CHAT, json=chat()))
                data = await anext(line async for line in lines if line.startswith("data: "))
                entry = json.loads(data.removeprefix("data: "))
            await asked
    assert (entry["number"], entry["route"], entry["status"]) == (1, CHAT, 200)


async def test_settings_are_told_and_secrets_are_not() -> None:
    told = (await read(serve(), "/admin/settings"))["settings"]
    by_name = {setting["name"]: setting for setting in told}
    assert by_name["server_port"]["variable"] == "LLM_SERVER_PORT"
    assert by_name["api_key"]["value"] == "********"
    assert "secret" not in json.dumps([setting["value"] for setting in told])
