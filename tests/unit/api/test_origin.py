"""Pages of other sites change nothing on a server without keys."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from app.api import hosts
from tests.unit.api.served import CHAT, MODEL, chat, serve
from tests.unit.services.scripted import Script

CHANGING = [
    ("POST", "/admin/pulls"),
    ("POST", "/admin/reload"),
    ("POST", f"/admin/models/{MODEL}/unload"),
    ("DELETE", f"/admin/models/{MODEL}"),
    ("POST", "/api/pull"),
    ("POST", "/api/create"),
    ("POST", "/api/copy"),
    ("DELETE", "/api/delete"),
    ("POST", f"/api/models/{MODEL}"),
    ("DELETE", f"/api/models/{MODEL}"),
    ("POST", f"/api/blobs/sha256:{'0' * 64}"),
]


@pytest.mark.parametrize(("method", "path"), CHANGING)
@pytest.mark.parametrize("origin", ["https://evil.example", "http://test.evil.example", "null"])
async def test_another_site_is_refused(method: str, path: str, origin: str) -> None:
    async with serve().client() as client:
        response = await client.request(method, path, json={}, headers={"origin": origin})
    assert response.status_code == 403
    error = response.json()["error"]
    assert "LLM_CORS_ORIGINS" in (error if path.startswith("/api/") else error["message"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/conversations", 403),
        ("GET", "/v1/conversations/conv_1/items", 403),
        ("GET", "/v1/responses/resp_1", 403),
        ("DELETE", "/v1/responses/resp_1", 404),
        ("GET", "/v1/chat/completions", 403),
        ("DELETE", "/v1/chat/completions/chatcmpl-1", 404),
        ("POST", "/v1/responses/input_tokens", 400),
        ("POST", "/v1/chat/completions", 400),
        ("GET", "/admin/models", 200),
    ],
)
async def test_what_is_kept_is_not_read_under_a_foreign_name(
    method: str, path: str, status: int, tmp_path: Path
) -> None:
    """A page reads from its own origin without naming it; what it changes, it does not."""
    served = serve()
    served.database = tmp_path / "store.db"
    served.__post_init__()
    async with served.client() as client:
        named = await client.request(method, path, json={}, headers={"host": "evil.example"})
        own = await client.request(method, path, json={}, headers={"host": "mybox:11434"})
    assert named.status_code == status
    assert own.status_code in {200, 400, 404}


@pytest.mark.parametrize("origin", [None, "http://test", "https://ui.example"])
async def test_who_is_let_through(origin: str | None) -> None:
    served = serve(cors_origins=("*", "https://ui.example"))
    async with served.client() as client:
        headers = {"origin": origin} if origin else {}
        response = await client.post("/admin/reload", headers=headers)
    assert response.status_code == 200


async def test_other_sites_may_ask_and_read() -> None:
    served = serve(Script(("a",)))
    headers = {"origin": "https://evil.example"}
    assert (await served.post(CHAT, chat(), **headers)).status_code == 200
    assert (await served.get("/admin/models", **headers)).status_code == 200


async def test_where_there_are_keys_they_decide() -> None:
    served = serve(api_key=SecretStr("k1"))
    response = await served.post(
        "/admin/reload", {}, origin="https://evil.example", authorization="Bearer k1"
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("evil.example:11434", 403),
        ("127.0.0.1.evil.example", 403),
        ("evil.example.", 403),
        ("[::1", 403),
        ("[x]", 403),
        ("localhost:11434", 200),
        ("127.0.0.1:11434", 200),
        ("[fd00::1]:11434", 200),
        ("192.168.1.7", 200),
        ("nas", 200),
        ("nas.local:80", 200),
        ("ui.example:8443", 200),
    ],
)
async def test_a_name_that_was_made_to_lead_here_is_another_site(host: str, status: int) -> None:
    served = serve(cors_origins=("*", "https://ui.example:8443"))
    async with served.client() as client:
        headers = {"host": host, "origin": f"http://{host}"}
        response = await client.post("/admin/reload", headers=headers)
    assert response.status_code == status


async def test_the_own_name_of_the_machine_is_no_other_site(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "_own_name", lambda: "box.lab.example")
    async with serve().client() as client:
        headers = {"host": "Box.lab.example", "origin": "http://Box.lab.example"}
        response = await client.post("/admin/reload", headers=headers)
    assert response.status_code == 200
