"""`corral render`."""

import json
from pathlib import Path

from click.testing import CliRunner

from app.cli import main

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% for t in tools or [] %}[{{ t.function.name }}]{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% if enable_thinking %}<think>{% endif %}{% endif %}"
)
TOOL = {"type": "function", "function": {"name": "f"}}


def run(tmp_path: Path, body: object, *options: str) -> tuple[int, str, str]:
    path = tmp_path / "t.jinja"
    path.write_text(TEMPLATE)
    given = body if isinstance(body, str) else json.dumps(body)
    done = CliRunner().invoke(main, ["render", "--template", str(path), *options], input=given)
    return done.exit_code, done.stdout, done.stderr


def chat(**fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "Hi"}], **fields}


def test_the_prompt_is_printed(tmp_path: Path) -> None:
    assert run(tmp_path, chat(), "--bos", "<s>") == (0, "<s><user>Hi<assistant>", "")
    assert run(tmp_path, chat(reasoning_effort="high"))[1] == "<user>Hi<assistant><think>"
    thinking = chat(chat_template_kwargs={"enable_thinking": True})
    assert run(tmp_path, thinking)[1] == "<user>Hi<assistant><think>"
    assert run(tmp_path, chat(add_generation_prompt=False))[1] == "<user>Hi"
    assert run(tmp_path, chat(tools=[TOOL]))[1] == "<user>Hi[f]<assistant>"


def test_a_request_may_be_a_file_and_the_template_chatml(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(chat()))
    done = CliRunner().invoke(main, ["render", str(path)])
    assert done.stdout == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_mistakes_are_told_in_the_words_of_the_api(tmp_path: Path) -> None:
    for body, problem in (
        ({}, "corral: 'messages' is required."),
        ("{", "corral: The request body is not valid JSON"),
        (chat(messages=5), "corral: 'messages'"),
        (chat(add_generation_prompt="no"), "corral: 'add_generation_prompt' must be true or false"),
        (chat(chat_template_kwargs={"tools": 1}), "corral: 'chat_template_kwargs.tools' is set"),
    ):
        code, output, errors = run(tmp_path, body)
        assert (code, output) == (1, "")
        assert errors.startswith(problem)


def test_a_field_without_effect_is_named(tmp_path: Path) -> None:
    assert run(tmp_path, chat(colour="red"))[2] == "corral: the field 'colour' has no effect\n"


def test_a_template_that_cannot_be_read_or_is_none(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["render", "--template", str(tmp_path / "none")])
    assert done.exit_code == 2
    (tmp_path / "bad").write_text("x\n{% for %}")
    done = CliRunner().invoke(
        main, ["render", "--template", str(tmp_path / "bad")], input=json.dumps(chat())
    )
    assert done.exit_code == 1
    assert done.stderr.startswith("corral: The chat template is broken: line 2: ")
