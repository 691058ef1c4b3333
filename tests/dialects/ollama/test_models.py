"""Ollama's lists of models, cards and the rest."""

from dataclasses import replace
from datetime import datetime

import pytest
from pydantic import SecretStr

from app.api.ollama.encode_models import tag_of
from tests.unit.api.served import MODEL, serve
from tests.unit.services.scripted import INFO


async def test_point_45_tags() -> None:
    models = (await serve().get("/api/tags")).json()["models"]
    assert [model["name"] for model in models] == [MODEL, "plain:latest"]
    first = models[0]
    assert first["model"] == MODEL
    assert datetime.fromisoformat(first["modified_at"]).timestamp() == INFO.created
    assert (first["size"], len(first["digest"])) == (1234, 64)
    assert first["details"] == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "1.0K",
        "quantization_level": "Q8_0",
    }


async def test_the_digest_is_the_files_where_it_is_known() -> None:
    served = serve(info=replace(INFO, sha256="ab" * 32))
    assert (await served.get("/api/tags")).json()["models"][0]["digest"] == "ab" * 32


async def test_point_45_ps() -> None:
    served = serve(info=replace(INFO, memory=99, expires=2_000_000_000.0))
    model, endless = (await served.get("/api/ps")).json()["models"]
    assert (model["size"], model["size_vram"], model["context_length"]) == (99, 0, 2048)
    assert datetime.fromisoformat(model["expires_at"]).timestamp() == 2_000_000_000
    assert endless["expires_at"]
    cold = serve(info=replace(INFO, state="cold"))
    assert (await cold.get("/api/ps")).json() == {"models": []}


@pytest.mark.parametrize("field", ["model", "name"])
async def test_point_45_show(field: str) -> None:
    response = await serve().post("/api/show", {field: "tiny:latest"})
    card = response.json()
    assert card["model_info"]["general.architecture"] == "llama"
    assert card["model_info"]["llama.context_length"] == 4096
    assert card["model_info"]["general.parameter_count"] == 1000
    assert card["model_info"]["tokenizer.ggml.tokens"] is None
    assert "tokenizer.chat_template" not in card["model_info"]
    assert card["template"] == "{{ messages[0].content }}"
    assert card["capabilities"] == ["completion"]
    assert card["parameters"].split() == ["num_ctx", "2048"]
    assert card["details"]["format"] == "gguf"
    assert card["modelfile"].startswith(f"FROM {MODEL}\n")


async def test_show_refuses() -> None:
    assert (await serve().post("/api/show", {"model": "gone"})).json() == {
        "success": False,
        "error": "model 'gone' not found",
    }
    assert (await serve().post("/api/show", {})).status_code == 400


async def test_version_is_numbers() -> None:
    version = (await serve().get("/api/version")).json()["version"]
    assert all(part.isdecimal() for part in version.split("."))


async def test_push_is_refused() -> None:
    response = await serve().post("/api/push", {"model": MODEL})
    assert response.status_code == 400
    assert "pushed" in response.json()["error"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_point_46_the_root_answers(method: str) -> None:
    async with serve().client() as client:
        assert (await client.request(method, "/")).status_code == 200


def test_point_47_names_have_tags() -> None:
    assert tag_of("a") == "a:latest"
    assert tag_of("host:1/a") == "host:1/a:latest"
    assert tag_of("lab/a:q8") == "lab/a:q8"


async def test_rustllms_models() -> None:
    answer = (await serve().get("/api/models")).json()
    assert answer["success"] is True
    row = {"name": MODEL, "size_bytes": 1234, "last_modified": "2023-11-14T22:13:20Z"}
    assert answer["data"]["models"][0] == row
    for name in (MODEL, f"{MODEL}.gguf", f"{MODEL}:latest"):
        assert (await serve().get(f"/api/models/{name}")).json() == {"success": True, "data": row}
    gone = await serve().get("/api/models/gone")
    assert (gone.status_code, gone.json()["success"]) == (404, False)


async def test_rustllamas_list() -> None:
    answer = (await serve().get("/api/list")).json()
    assert answer["models"][0] == {
        "name": MODEL,
        "modified_at": "2023-11-14T22:13:20Z",
        "format": "gguf",
        "path": f"{MODEL}.gguf",
    }


async def test_rustllms_health() -> None:
    served = serve(api_key=SecretStr("secret"))
    assert (await served.get("/api/health")).json() == {"success": True, "data": "OK"}
    served.gate.close()
    told = await served.get("/api/health")
    assert (told.status_code, told.json()["success"]) == (503, False)
