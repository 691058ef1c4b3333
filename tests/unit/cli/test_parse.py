"""`corral parse`: the API's own reading of an output, without a model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.chat.default_template import CHATML
from app.cli import main

ROOT = Path(__file__).parents[3]
THINKING = CHATML + "{# <think> #}"
FUNCTION: dict[str, Any] = {"name": "get_time", "parameters": {"type": "object"}}
TOOL: dict[str, Any] = {"type": "function", "function": FUNCTION}
CALL = '<tool_call>\n{"name": "get_time", "arguments": {"city": "Łódź"}}\n</tool_call>'
OUTPUT = f"<think>\nWhich city?\n</think>\n\nLet me look.\n{CALL}"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The flags that name a template and tools."""
    template, tools = tmp_path / "chat.jinja", tmp_path / "tools.json"
    template.write_text(THINKING)
    tools.write_text(json.dumps([TOOL]))
    return ["--template", str(template), "--tools", str(tools)]


def run(*flags: str, given: str | bytes = "") -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, the objects printed, and what was said to the error output."""
    result = CliRunner().invoke(main, ["parse", *flags], input=given)
    return (
        result.exit_code,
        [json.loads(line) for line in result.stdout.splitlines()],
        result.stderr,
    )


def run_lines(*lines: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    code, printed, errors = run("--jsonl", given="".join(json.dumps(line) + "\n" for line in lines))
    assert errors == ""
    return code, printed


@pytest.mark.parametrize("chunk", [(), ("--chunk", "1"), ("--chunk", "3")])
def test_the_message_is_that_of_the_api(files: list[str], chunk: tuple[str, ...]) -> None:
    code, (message,), _ = run(*files, *chunk, given=OUTPUT)
    assert code == 0
    assert message == {
        "role": "assistant",
        "content": "Let me look.",
        "refusal": None,
        "reasoning_content": "Which city?",
        "tool_calls": [
            {
                "type": "function",
                "function": {"name": "get_time", "arguments": '{"city": "Łódź"}'},
            }
        ],
    }


def test_the_stream_has_the_same_deltas_as_the_api(files: list[str]) -> None:
    code, deltas, _ = run(*files, "--stream", "--chunk", "4", given=OUTPUT)
    assert code == 0
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Which city?"
    assert "".join(delta.get("content", "") for delta in deltas) == "Let me look."
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    function = {"name": "get_time", "arguments": ""}
    assert calls[0] == {"index": 0, "type": "function", "function": function}
    assert all(call.keys() == {"index", "function"} for call in calls[1:])
    assert len(calls) > 4
    pieces = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(pieces) == {"city": "Łódź"}


def test_a_prompt_that_opened_a_thought(files: list[str]) -> None:
    output = "hm\n</think>\n\nHi"
    _, (message,), _ = run(*files, "--prompt-suffix", "<think>\n", given=output)
    assert (message["reasoning_content"], message["content"]) == ("hm", "Hi")


def test_without_tools_a_call_is_text(files: list[str]) -> None:
    _, (message,), _ = run(*files[:2], given=CALL)
    assert message["content"] == CALL
    assert "tool_calls" not in message


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "chat.jinja"
    path.write_text(THINKING)
    code, messages = run_lines(
        {"template": str(path), "tools": [TOOL], "output": OUTPUT, "chunk": 2, "id": "my own"},
        {"template": CHATML, "output": "Hi", "prompt_suffix": None, "tools": None},
        {"template": THINKING, "output": "so", "prompt_suffix": "<think>"},
    )
    assert code == 0
    assert messages[0]["tool_calls"][0]["function"]["name"] == "get_time"
    assert messages[1]["content"] == "Hi"
    assert messages[2]["reasoning_content"] == "so"


def test_an_output_that_goes_on() -> None:
    """What may become markup is not shown; an unfinished call is, as far as it is known."""
    line = {"template": THINKING, "tools": [TOOL], "partial": True}
    code, messages = run_lines(
        {**line, "output": "Let me look.\n<tool_"},
        {**line, "output": f"Let me look.\n{CALL[:50]}"},
        {**line, "output": "Let me look.\n<tool_", "partial": False},
    )
    assert code == 0
    assert messages[0]["content"] == "Let me look."
    (call,) = messages[1]["tool_calls"]
    assert call["function"]["name"] == "get_time"
    assert '{"city": "Łódź"}'.startswith(call["function"]["arguments"])
    assert messages[2]["content"] == "Let me look.\n<tool_"


BAD_LINES = [
    ("broken", "line 1: The line is not JSON"),
    ("[]", "line 1: The line is not a JSON object."),
    ('{"template": "{{ messages }}"}', "'output' is required."),
    ('{"template": "{{ messages }}", "output": 3}', "'output': "),
    ('{"template": "{{ messages }}", "output": "", "chunk": 0}', "'chunk': "),
    ('{"template": "missing.jinja", "output": ""}', "there is no file 'missing.jinja'"),
    ('{"template": "{% if %}", "output": ""}', "The chat template is broken"),
    (
        '{"template": "{{ messages }}", "output": "", "tools": [{"type": "function"}]}',
        "'tools[0].function' is required.",
    ),
]


@pytest.mark.parametrize(("line", "problem"), BAD_LINES)
def test_a_bad_line_is_answered_in_its_place(line: str, problem: str) -> None:
    good = json.dumps({"template": CHATML, "output": "Hi"})
    code, (first, second), _ = run("--jsonl", given=f"{line}\n{good}\n")
    assert code == 1
    assert first.keys() == {"error"}
    assert problem in first["error"]
    assert second["content"] == "Hi"


def test_bad_flags(files: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('[{"type": "function", "function": {}}]')
    for flags, code, problem in [
        ((), 2, "Missing option '--template'"),
        (("--template", "missing.jinja"), 2, "does not exist"),
        (("--jsonl", "--chunk", "2"), 2, "drop --chunk"),
        (("--jsonl", "--prompt-suffix", ""), 2, "drop --prompt-suffix"),
        (("--jsonl", "--stream"), 2, "does not go with --stream"),
        ((*files, "--chunk", "0"), 2, "--chunk"),
        ((*files[:2], "--tools", str(broken)), 1, "'tools[0].function.name' is required."),
    ]:
        ended, printed, errors = run(*flags)
        assert (ended, printed) == (code, []), flags
        assert problem in errors


def test_an_output_that_is_not_text(files: list[str]) -> None:
    code, _, errors = run(*files, given=b"\xff")
    assert code == 1
    assert "standard input is not UTF-8" in errors


def test_the_command_needs_neither_a_model_nor_llama_cpp(files: list[str]) -> None:
    program = "import sys; from app.cli import main; main(standalone_mode=False)"
    check = "assert 'llama_cpp' not in sys.modules and 'starlette' not in sys.modules"
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}; {check}", "parse", *files],
        input=OUTPUT.encode(),
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["content"] == "Let me look."


def test_a_call_that_the_prompt_has_begun_is_printed_whole(files: list[str]) -> None:
    begun, rest = CALL[:32], CALL[32:]
    for chunk in ((), ("--chunk", "1")):
        code, (message,), _ = run(*files, *chunk, "--prompt-suffix", begun, given=rest)
        (call,) = message["tool_calls"]
        assert (code, message["content"]) == (0, None)
        assert call["function"] == {"name": "get_time", "arguments": '{"city": "Łódź"}'}


def test_the_end_of_a_turn_is_no_text(files: list[str]) -> None:
    for text, content in (
        ("Hello.<|im_end|>\n", "Hello."),
        ("Hello.<|im_end|>\n<|endoftext|>", "Hello."),
        ("Hello.</s>", "Hello."),
        ("<s>Hello.</s>", "<s>Hello.</s>"),  # as HTML has it
        ("<|im_end|> it is.", "<|im_end|> it is."),
    ):
        _, (message,), _ = run(*files, given=text)
        assert message["content"] == content


@pytest.mark.parametrize(
    ("output", "suffix", "thought", "content"),
    [
        ("so\n</think>\n\nHi", "", "so", "Hi"),  # the prompt began the thought, and is not told
        ("so\n</think>\n\nHi", "<think>\n", "so", "Hi"),
        ("so </think> is\n</think>Hi", "</think>\n\n", None, "so </think> is\n</think>Hi"),
        ("<think>so</think>Hi </think>", "", "so", "Hi </think>"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 100])
def test_a_thought_whose_opener_is_not_there(
    output: str, suffix: str, thought: str | None, content: str, chunk: int
) -> None:
    line = {"template": THINKING, "output": output, "prompt_suffix": suffix, "chunk": chunk}
    _, (message,) = run_lines(line)
    assert (message.get("reasoning_content"), message["content"]) == (thought, content)


@pytest.mark.parametrize("tool", [TOOL, FUNCTION, {"type": "function", **FUNCTION}])
def test_a_tool_may_be_a_bare_function(tool: dict[str, Any]) -> None:
    _, (message,) = run_lines({"template": THINKING, "tools": [tool], "output": CALL})
    assert message["tool_calls"][0]["function"]["name"] == "get_time"
