"""Who goes first, and who shares with whom: what a request, its key and its end user say."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.api.middleware.keys import read_keys
from app.core.errors import ConfigurationError
from app.engine.messages import SequenceSpec
from tests.unit.api.served import CHAT, COMPLETIONS, MODEL, Served, chat, serve

USER_HEADER = "x-openwebui-user-id"


async def spec_of(served: Served, fields: dict[str, Any], **headers: str) -> SequenceSpec:
    response = await served.post(CHAT, chat(**fields), **headers)
    assert response.status_code == 200, response.text
    assert "x-corral-ignored" not in response.headers
    return served.engine.specs[-1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0),
        ({"priority": 0}, 0),
        ({"priority": 7}, 7),
        ({"priority": 1000}, 1000),
        ({"priority": "interactive"}, 0),
        ({"priority": "batch"}, 100),
        ({"service_tier": "auto"}, 0),
        ({"service_tier": "default"}, 0),
        ({"service_tier": "priority"}, 0),
        ({"service_tier": "scale"}, 0),
        ({"service_tier": "flex"}, 100),
        ({"service_tier": "flex", "priority": 3}, 3),
        ({"service_tier": "priority", "priority": "batch"}, 100),
    ],
)
async def test_the_body_says_who_goes_first(fields: dict[str, Any], expected: int) -> None:
    assert (await spec_of(serve(), fields)).priority == expected
    served = serve()
    body = {"model": MODEL, "prompt": "abc", "n": 2, **fields}
    assert (await served.post(COMPLETIONS, body)).status_code == 200
    assert [spec.priority for spec in served.engine.specs] == [expected] * 2


@pytest.mark.parametrize(
    ("key", "fields", "expected"),
    [
        ("quick", {}, 0),
        ("quick", {"priority": 5}, 5),
        ("named", {}, 0),
        ("slow", {}, 100),
        ("slow", {"priority": 0}, 100),
        ("slow", {"service_tier": "priority"}, 100),
        ("slow", {"priority": 500}, 500),
        ("third", {}, 250),
        ("third", {"service_tier": "flex"}, 250),
        ("setting", {}, 40),
    ],
)
async def test_a_key_has_a_class_that_a_request_cannot_leave(
    tmp_path: Path, key: str, fields: dict[str, Any], expected: int
) -> None:
    file = tmp_path / "keys"
    file.write_text(
        "# keys\nquick\nnamed priority=interactive\nslow\tpriority=batch  # nights only\n"
        "third priority=250\nsetting priority=40\n"
    )
    served = serve(api_keys_file=file, api_key=SecretStr("setting"))
    spec = await spec_of(served, fields, authorization=f"Bearer {key}")
    assert spec.priority == expected


async def test_the_answer_tells_of_the_class_that_the_key_has(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("slow priority=batch\n")
    asked = chat(service_tier="priority")
    response = await serve(api_keys_file=file).post(CHAT, asked, **{"x-api-key": "slow"})
    assert response.json()["service_tier"] == "flex"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sk-secret batch", "after a key there may only be priority=interactive, priority=batch"),
        ("sk-secret sk-other", "after a key there may only be"),
        ("sk-secret priority=slow", "after a key there may only be"),
        ("sk-secret priority=", "after a key there may only be"),
        ("sk-secret priority=-1", "after a key there may only be"),
        ("sk-secret priority=1001", "after a key there may only be"),
        ("sk-secret priority=" + "9" * 5000, "after a key there may only be"),
        ("sk-secret priority=\u0661", "after a key there may only be"),
        ("sk-secret priority=batch priority=batch", "after a key there may only be"),
        ("sk-secret Priority=batch", "after a key there may only be"),
        ("priority=batch", "a priority without a key before it"),
        ("first priority=batch", "the key of line 2 again"),
    ],
)
def test_a_bad_line_is_named_and_not_shown(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# keys\nfirst\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_keys(file)
    message = caught.value.message
    assert message.startswith(f"LLM_API_KEYS_FILE={file}, line 4: {said}")
    assert "secret" not in message
    assert "sk-other" not in message
    assert "first" not in message


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("sk-secret priority=batch\n")
    assert "secret" not in repr(read_keys(file))


async def test_keys_share_with_each_other() -> None:
    served = serve(api_key=SecretStr("k1"))
    mine = {"user": "rosa", "safety_identifier": "rosa"}
    plain = await spec_of(served, {}, authorization="Bearer k1")
    named = await spec_of(served, mine, authorization="Bearer k1", **{USER_HEADER: "rosa"})
    assert plain.owner == named.owner, "a key is one owner, whoever it says it asks for"
    assert plain.owner is not None
    assert "k1" not in plain.owner


async def test_without_keys_end_users_share_with_each_other() -> None:
    served = serve()

    async def owner(fields: dict[str, Any], **headers: str) -> str | None:
        return (await spec_of(served, fields, **headers)).owner

    assert await owner({}) is None
    rosa = await owner({"user": "rosa"})
    assert rosa is not None
    assert "rosa" not in rosa
    assert len(await owner({"user": "x" * 10_000}) or "") == len(rosa)
    assert await owner({"safety_identifier": "rosa", "user": "other"}) == rosa
    assert await owner({}, **{USER_HEADER: "rosa"}) == rosa
    assert await owner({"user": "rosa"}, **{USER_HEADER: "other"}) == rosa
    assert await owner({"user": "karl"}) not in {rosa, None}
    assert await owner({"user": ""}, **{USER_HEADER: ""}) is None


async def test_a_completion_has_an_owner_too() -> None:
    served = serve()
    body = {"model": MODEL, "prompt": ["a", "b"], "user": "rosa"}
    assert (await served.post(COMPLETIONS, body)).status_code == 200
    first, second = served.engine.specs
    assert first.owner == second.owner is not None
