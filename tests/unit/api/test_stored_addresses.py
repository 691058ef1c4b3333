"""Who asks for what is stored, and under which names."""

from pathlib import Path

import pytest

from tests.unit.api.served import serve


@pytest.mark.parametrize(
    "path",
    [
        "/v1/conversations/conv_%00",
        "/v1/conversations/conv_1/items/a%00",
        "/v1/conversations?query=a%00b",
        "/v1/conversations?after=%00",
        "/v1/responses/resp_%00",
        "/v1/chat/completions?metadata[a]=%00",
    ],
)
async def test_nul_characters_are_refused(path: str, tmp_path: Path) -> None:
    served = serve()
    served.database = tmp_path / "store.db"
    served.__post_init__()
    response = await served.get(path)
    assert response.status_code == 400
    assert "NUL" in response.json()["error"]["message"]


@pytest.mark.parametrize("origin", ["http://[", "https://evil.example"])
async def test_a_foreign_origin_is_refused(origin: str) -> None:
    response = await serve().get("/v1/conversations", origin=origin)
    assert response.status_code == 403
