"""Which adapters a request gets: by the model's name, by numbers and names, and none otherwise."""

from dataclasses import replace
from typing import Any

import pytest

from app.core.adapters import AdapterInfo
from app.core.errors import ModelNotFound
from app.core.models import with_adapter
from tests.unit.api.served import CHAT, COMPLETIONS, MODEL, Served, chat, serve
from tests.unit.services.scripted import INFO, ScriptedPool

ADAPTERS = (
    AdapterInfo("sql", "sql.gguf", size=10, created=5),
    AdapterInfo("fmt", "fmt.gguf", size=20, created=6, scale=0.5),
)
WITH_ADAPTERS = replace(INFO, adapters=ADAPTERS)
SQL = f"{MODEL}:sql"


class AdaptedPool(ScriptedPool):
    """Also lists the model with each of its adapters."""

    def models(self) -> Any:
        return (self.info, *(with_adapter(self.info, one.name) for one in self.info.adapters))


def served() -> Served:
    made = serve(info=WITH_ADAPTERS)
    made.pool.__class__ = AdaptedPool
    return made


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"model": SQL}, [("sql", 1.0)]),
        ({"model": f"{MODEL}:fmt"}, [("fmt", 0.5)]),
        ({"model": f"{SQL}:latest"}, [("sql", 1.0)]),
        ({"lora": None}, []),
        ({"lora": []}, []),
        ({"lora": [{"id": 0}]}, [("sql", 1.0)]),
        ({"lora": [{"id": "fmt"}]}, [("fmt", 0.5)]),
        ({"lora": [{"id": 1, "scale": 2}]}, [("fmt", 2.0)]),
        ({"lora": [{"id": "fmt", "scale": -1}, {"id": 0, "scale": 0.25}]},
         [("sql", 0.25), ("fmt", -1.0)]),
        ({"lora": [{"id": 0, "scale": 0}]}, []),
        ({"lora": [{"id": 0, "scale": None}]}, [("sql", 1.0)]),
    ],
)  # fmt: skip
async def test_what_is_asked_for_is_applied(
    fields: dict[str, Any], expected: list[tuple[str, float]]
) -> None:
    made = served()
    for path, body in ((CHAT, chat()), (COMPLETIONS, {"model": MODEL, "prompt": "abc"})):
        response = await made.post(path, {**body, **fields})
        assert response.status_code == 200, response.text
        assert "x-corral-ignored" not in response.headers
        assert list(made.engine.specs[-1].adapters) == expected
        asked = fields.get("model", MODEL)
        assert response.json()["model"] == asked.removesuffix(":latest")


KNOWN = "It has 0 'sql', 1 'fmt'."
NO_ID = "'lora[0].id': must be the number or the name of an adapter."
TWO_SAY = (
    f"'lora' cannot be given for the model '{SQL}', which is one adapter: choose adapters for the "
    f"model '{MODEL}'."
)
REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    (
        {"lora": [{"id": 2}]},
        "lora[0].id",
        f"'lora[0].id': the model '{MODEL}' has no adapter 2. {KNOWN}",
    ),
    (
        {"lora": [{"id": "x"}]},
        "lora[0].id",
        f"'lora[0].id': the model '{MODEL}' has no adapter 'x'. {KNOWN}",
    ),
    ({"lora": [{"id": 0}, {"id": "sql"}]}, "lora[1].id", "'lora' names 'sql' twice."),
    ({"lora": [{"id": True}]}, "lora[0].id", NO_ID),
    ({"lora": [{"id": 0.5}]}, "lora[0].id", NO_ID),
    ({"lora": [{}]}, "lora[0].id", "'lora[0].id' is required."),
    ({"model": SQL, "lora": [{"id": 0}]}, "lora", TWO_SAY),
    ({"model": f"{MODEL}:nope"}, "model", f"The model '{MODEL}:nope' does not exist."),
]


@pytest.mark.parametrize(("fields", "param", "message"), REFUSALS)
async def test_what_cannot_be_applied_is_refused(
    fields: dict[str, Any], param: str, message: str
) -> None:
    response = await served().post(CHAT, chat(**fields))
    assert response.status_code == (404 if param == "model" else 400)
    error = response.json()["error"]
    assert (error["param"], error["message"]) == (param, message)


def test_an_adapter_that_is_gone_is_not_found() -> None:
    """Of a model that was read again while its load was waited for."""
    with pytest.raises(ModelNotFound, match=f"'{MODEL}:old' does not exist"):
        with_adapter(WITH_ADAPTERS, "old")


async def test_a_model_without_adapters_says_so() -> None:
    response = await serve().post(CHAT, chat(lora=[{"id": 0}]))
    assert response.json()["error"]["message"] == (
        f"'lora[0].id': the model '{MODEL}' has no adapter 0. It has none."
    )


async def test_embeddings_and_rankings_are_the_base_models() -> None:
    for path, body in {
        "/v1/embeddings": {"input": "x"},
        "/v1/rerank": {"query": "x", "documents": ["y"]},
    }.items():
        response = await served().post(path, {"model": SQL, **body})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "model"
        assert f"ask for the model '{MODEL}'" in response.json()["error"]["message"]


async def test_the_list_shows_them_as_models() -> None:
    listed = (await served().get("/v1/models")).json()["data"]
    shown = [(m["id"], m["root"], m["parent"], m["lora"]) for m in listed]
    sql, fmt = (
        {"id": 0, "name": "sql", "scale": 1.0},
        {"id": 1, "name": "fmt", "scale": 0.5},
    )
    assert shown == [
        (MODEL, MODEL, None, [sql, fmt]),
        (SQL, "sql.gguf", MODEL, [sql]),
        (f"{MODEL}:fmt", "fmt.gguf", MODEL, [fmt]),
    ]
    assert "embedding" not in listed[1]["capabilities"]


async def test_ollamas_lists_show_them_too() -> None:
    made = served()
    tags = (await made.get("/api/tags")).json()["models"]
    assert [(one["name"], one["details"]["parent_model"]) for one in tags[1:]] == [
        (SQL, MODEL),
        (f"{MODEL}:fmt", MODEL),
    ]
    assert [one["size"] - tags[0]["size"] for one in tags[1:]] == [10, 20]
    running = (await made.get("/api/ps")).json()["models"]
    assert [one["name"] for one in running] == [tags[0]["name"]]
    card = (await made.post("/api/show", {"model": SQL})).json()
    assert card["modelfile"].startswith(f"FROM {MODEL}\nADAPTER sql.gguf\n")
    assert card["details"]["parent_model"] == MODEL
