"""Bodies that are refused before anything reads them."""

import json

import pytest

from tests.unit.api.served import CHAT, chat, serve

ROUTES = [CHAT, "/v1/completions", "/v1/embeddings"]


def nest(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": Infinity}', "not valid JSON"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b'{"a": "\xed\xa0\x80"}', "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"model": "a\\u0000b"}', "NUL"),
        (b'{"x": [{"a\\u0000": 1}]}', "NUL"),
        (nest(40), "levels deep"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
    ],
)
async def test_malformed_bodies(path: str, body: bytes, words: str) -> None:
    async with serve().client() as client:
        response = await client.post(path, content=body)
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["code"], error["type"]) == ("malformed_body", "invalid_request_error")
    assert words in error["message"]


async def test_huge_numbers_are_refused() -> None:
    body = json.dumps(chat(temperature=0)).replace('"temperature": 0', '"temperature": 1e400')
    async with serve().client() as client:
        response = await client.post(CHAT, content=body.encode())
    assert response.status_code == 400


async def test_an_escaped_backslash_is_no_nul() -> None:
    message = {"role": "user", "content": "say \\u0000"}
    response = await serve().post(CHAT, chat(messages=[message]))
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/vnd.api+json", 200),
        ("", 200),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
        ("multipart/form-data; boundary=x", 400),
    ],
)
async def test_content_types(content_type: str, status: int) -> None:
    headers = {"content-type": content_type} if content_type else {}
    async with serve().client() as client:
        response = await client.post(CHAT, content=json.dumps(chat()), headers=headers)
    assert response.status_code == status


@pytest.mark.parametrize("is_announced", [True, False])
async def test_large_bodies(is_announced: bool) -> None:
    body = b'{"a": "' + b"x" * 2000 + b'"}'

    async def stream() -> object:  # pyright: ignore[reportGeneralTypeIssues]
        yield body[:1000]
        yield body[1000:]

    async with serve(max_body_bytes=1500).client() as client:
        content = body if is_announced else stream()
        response = await client.post(CHAT, content=content)  # pyright: ignore[reportArgumentType]
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"


async def test_message_count() -> None:
    messages = [{"role": "user", "content": "x"}] * 11
    response = await serve().post(CHAT, chat(messages=messages))
    assert response.json()["error"]["param"] == "messages"
    assert response.json()["error"]["code"] == "malformed_body"
