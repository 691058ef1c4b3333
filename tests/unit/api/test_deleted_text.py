"""What is deleted is told no more, though the log of its response is still in memory."""

from pathlib import Path

import httpx
import pytest

from tests.unit.api.served import MODEL, Served, serve

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"


@pytest.fixture
def served(tmp_path: Path) -> Served:
    made = serve()
    made.database = tmp_path / "store.db"
    made.__post_init__()
    return made


async def answer_in(client: httpx.AsyncClient) -> tuple[str, str, str]:
    """A conversation, the response in it, and its item."""
    conversation = (await client.post(CONVERSATIONS, json={})).json()["id"]
    body = {"model": MODEL, "input": "Hi", "conversation": conversation}
    response = (await client.post(RESPONSES, json=body)).json()
    return conversation, response["id"], response["output"][0]["id"]


async def test_of_a_deleted_item(served: Served) -> None:
    async with served.client() as client:
        conversation, response, item = await answer_in(client)
        stream = f"{RESPONSES}/{response}?stream=true"
        assert "Hello" in (await client.get(stream)).text
        assert "Hello" in (await client.post(f"{RESPONSES}/{response}/cancel")).text
        gone = await client.delete(f"{CONVERSATIONS}/{conversation}/items/{item}")
        assert gone.status_code == 200
        told = await client.get(stream)
        assert "response.completed" in told.text
        assert "Hello" not in told.text
        cancelled = await client.post(f"{RESPONSES}/{response}/cancel")
        assert (cancelled.status_code, cancelled.json()["output"]) == (200, [])


async def test_of_a_deleted_conversation(served: Served) -> None:
    async with served.client() as client:
        conversation, response, _ = await answer_in(client)
        await client.delete(f"{CONVERSATIONS}/{conversation}")
        assert (await client.get(f"{RESPONSES}/{response}?stream=true")).status_code == 404
        assert (await client.post(f"{RESPONSES}/{response}/cancel")).status_code == 404
