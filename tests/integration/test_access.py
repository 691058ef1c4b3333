"""Who is let in, from where, and with how large a request."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.conftest import connect
from tests.integration.load import CHAT, SHORT
from tests.support.server import MODEL, Server, serve
from tests.support.wire import JSON_TYPE, Answer, Connection, ask

FIRST, SECOND, THIRD = "key-of-the-environment", "key-of-the-file", "another-key-of-the-file"
PAGE = "https://page.example"
HELLO = {"role": "user", "content": "Hello!"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with keys, one allowed origin, and narrow limits."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys.txt"
    keys.write_text(f"# made for the test\n{SECOND}  # of Rosa\n\n{THIRD}\n")
    with serve(
        folder,
        LLM_API_KEY=FIRST,
        LLM_API_KEYS_FILE=str(keys),
        LLM_CORS_ORIGINS=PAGE,
        LLM_MAX_BODY_BYTES="20000",
        LLM_MAX_JSON_DEPTH="12",
        LLM_MAX_MESSAGES="8",
        LLM_MAX_N="2",
        LLM_MAX_EMBEDDING_INPUTS="3",
    ) as running:
        yield running
    running.assert_no_alarm()
    for key in (FIRST, SECOND, THIRD):
        assert key not in running.log


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [FIRST, SECOND, THIRD])
async def test_every_key_opens(guarded: Server, key: str) -> None:
    assert (await ask(guarded.port, "POST", CHAT, SHORT, bearer(key))).status == 200
    assert (await ask(guarded.port, "GET", "/v1/models", None, bearer(key))).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("wrong"),
        bearer(""),
        bearer(FIRST + "x"),
        bearer(FIRST[:-1]),
        bearer("of Rosa"),
        bearer("# made for the test"),
        {"authorization": FIRST},
        {"authorization": f"Basic {FIRST}"},
        bearer("\xe9\xff"),
    ],
    ids=repr,
)
async def test_no_other_key_does(guarded: Server, headers: dict[str, str]) -> None:
    for method, target in (("POST", CHAT), ("GET", "/v1/models"), ("GET", f"/v1/models/{MODEL}")):
        body = SHORT if method == "POST" else None
        answer = await ask(guarded.port, method, target, body, headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.error["code"] == "invalid_api_key"
        assert FIRST not in answer.error["message"]


def test_the_client_sees_an_authentication_error(guarded: Server) -> None:
    with (
        connect(guarded, api_key="wrong") as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    with connect(guarded, api_key=SECOND) as client:
        assert client.models.list().data


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/startupz", "/metrics"])
def test_probes_need_no_key(guarded: Server, path: str) -> None:
    assert guarded.get(path).status_code == 200


async def test_without_keys_any_is_taken(server: Server) -> None:
    for headers in ({}, bearer("whatever")):
        assert (await ask(server.port, "GET", "/v1/models", None, headers)).status == 200


# --- CORS -----------------------------------------------------------------------------------------


async def preflight(server: Server, origin: str) -> Answer:
    wanted = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }
    async with await Connection.open(server.port) as connection:
        return await connection.ask("OPTIONS", CHAT, None, wanted)


async def test_any_page_may_call_by_default_without_credentials(server: Server) -> None:
    answer = await preflight(server, PAGE)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed
    shown = await ask(server.port, "POST", CHAT, SHORT, {"origin": PAGE})
    assert shown.headers["access-control-allow-origin"] == "*"
    assert "x-request-id" in shown.headers["access-control-expose-headers"].lower()


async def test_only_the_listed_page_may_call(guarded: Server) -> None:
    answer = await preflight(guarded, PAGE)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    other = await preflight(guarded, "https://other.example")
    assert "access-control-allow-origin" not in other.headers
    refused = await ask(guarded.port, "POST", CHAT, SHORT, {"origin": PAGE})
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == PAGE, "a page must see its error"


# --- limits ---------------------------------------------------------------------------------------


async def test_a_body_that_is_announced_too_large(guarded: Server) -> None:
    answer = await ask(guarded.port, "POST", CHAT, {**SHORT, "user": "x" * 20_000}, bearer(FIRST))
    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"


async def test_a_body_that_grows_too_large(guarded: Server) -> None:
    """Sent in chunks, so that its size shows only on the way."""
    async with await Connection.open(guarded.port) as connection:
        headers = {**JSON_TYPE, **bearer(FIRST), "transfer-encoding": "chunked"}
        await connection.send("POST", CHAT, None, headers)
        piece = b" " * 1000
        for _ in range(21):
            await connection.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        answer = await connection.answer()
    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"


def deep(levels: int) -> list[Any]:
    nest: list[Any] = []
    for _ in range(levels - 1):
        nest = [nest]
    return nest


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"chat_template_kwargs": {"deep": deep(20)}}, CHAT),
        ({"messages": [HELLO] * 9}, CHAT),
        ({"n": 3}, CHAT),
        ({"prompt": "x", "best_of": 3}, "/v1/completions"),
        ({"input": ["a", "b", "c", "d"]}, "/v1/embeddings"),
    ],
    ids=["depth", "messages", "n", "best_of", "inputs"],
)
async def test_limits_of_the_operator(guarded: Server, change: Any, target: str) -> None:
    answer = await ask(guarded.port, "POST", target, {**SHORT, **change}, bearer(FIRST))
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"


async def test_the_limits_themselves_are_allowed(guarded: Server) -> None:
    fine = {**SHORT, "messages": [HELLO] * 8, "n": 2, "chat_template_kwargs": {"deep": deep(10)}}
    answers = await asyncio.gather(
        ask(guarded.port, "POST", CHAT, fine, bearer(FIRST)),
        ask(
            guarded.port,
            "POST",
            "/v1/embeddings",
            {"model": MODEL, "input": ["a", "b", "c"]},
            bearer(FIRST),
        ),
    )
    assert [answer.status for answer in answers] == [200, 200]
