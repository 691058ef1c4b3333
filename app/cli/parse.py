"""`corral parse`: what the API would make of a model's raw output. No model is needed."""

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Annotated, Any, cast

import click
import orjson
from pydantic import Field, field_validator

from app.api.openai.encode.chat import ROLE_DELTA, ChatAnswer, encode_delta
from app.api.openai.schemas.tools import Tools
from app.api.openai.tools import decode_tools
from app.api.openai.validate import validate
from app.api.schema import Part
from app.chat.template import ChatTemplate
from app.cli.raw_output import RawOutput
from app.cli.refusal import refuse
from app.core.errors import BadRequest, CorralError
from app.core.messages import Tool

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_JINJA = ("{{", "{%")
_FUNCTION_TYPES = (None, "function")


class _Tools(Part):
    tools: Tools | None = None

    @field_validator("tools", mode="before")
    @classmethod
    def _wrap_functions(cls, given: Any) -> Any:
        """A function may stand there without what the API wants around it."""
        if not isinstance(given, list):
            return given
        return [_wrap(one) for one in cast("list[Any]", given)]

    def decode_tools(self) -> tuple[Tool, ...]:
        return decode_tools(self.tools)


class _Line(_Tools):
    """One object of `--jsonl`; its other keys are the user's own."""

    template: str
    output: str
    prompt_suffix: str = ""
    chunk: Annotated[int, Field(ge=1)] | None = None
    partial: bool = False


@click.command()
@click.option("--template", type=_FILE, help="The model's chat template (Jinja).")
@click.option("--tools", type=_FILE, help="JSON array of tools, as in a request's `tools`.")
@click.option("--prompt-suffix", metavar="TEXT", help="What the prompt ended with: `<think>`.")
@click.option(
    "--chunk", type=click.IntRange(1), metavar="N", help="Read N characters at a time, as if live."
)
@click.option("--stream", is_flag=True, help="Print the deltas of a stream, not the message.")
@click.option(
    "--jsonl", is_flag=True, help="Read a JSON object per line, print a message for each."
)
def parse(
    *,
    template: Path | None,
    tools: Path | None,
    prompt_suffix: str | None,
    chunk: int | None,
    stream: bool,
    jsonl: bool,
) -> None:
    """Parse a model's raw output from standard input into the message that the API would send.

    With --jsonl each line is an object with `template` (text or a path) and `output`, and where
    wanted `tools`, `prompt_suffix`, `chunk`, and `partial` (true: the output goes on). A line that
    cannot be read is answered with {"error"}, and the exit code is 1 in the end.
    """
    source = sys.stdin.buffer if sys.stdin is not None else BytesIO()
    if jsonl:
        _check_alone(template=template, tools=tools, prompt_suffix=prompt_suffix, chunk=chunk)
        if stream:
            raise click.UsageError("--jsonl prints messages: it does not go with --stream.")
        _parse_lines(source)
        return
    if template is None:
        raise click.UsageError("Missing option '--template' (or '--jsonl').")
    try:
        parsing = RawOutput(
            template=_load_template(_read_text(template)),
            tools=_read_tools(tools) if tools else (),
            prompt_suffix=prompt_suffix or "",
            output=_decode(source.read(), "standard input"),
            chunk=chunk,
        )
    except CorralError as error:
        raise refuse(error) from None
    if stream:
        _print_all(_stream(parsing))
    else:
        _print_all([_answer(parsing)])


def _wrap(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    function = cast("dict[str, Any]", tool)
    is_bare = "name" in function and "function" not in function
    if not is_bare or function.get("type") not in _FUNCTION_TYPES:
        return function
    return {"type": "function", "function": {k: v for k, v in function.items() if k != "type"}}


def _check_alone(**others: object) -> None:
    for name, value in others.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"With --jsonl each line has its own '{name}': drop {flag}.")


def _parse_lines(source: IO[bytes]) -> None:
    is_good = True
    for number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        try:
            message = _answer(_read_line(line))
        except CorralError as error:
            is_good = False
            message = {"error": f"line {number}: {error.message}"}
        _print_all([message])
    if not is_good:
        raise SystemExit(1)


def _read_line(line: bytes) -> RawOutput:
    given = _load_json(line, "The line")
    if not isinstance(given, dict):
        raise BadRequest("The line is not a JSON object.")
    wire = validate(_Line, given)  # pyright: ignore[reportUnknownArgumentType]
    is_text = any(sign in wire.template for sign in _JINJA)
    return RawOutput(
        template=_load_template(wire.template if is_text else _read_text(Path(wire.template))),
        tools=wire.decode_tools(),
        prompt_suffix=wire.prompt_suffix,
        output=wire.output,
        chunk=wire.chunk,
        is_partial=wire.partial,
    )


def _answer(parsing: RawOutput) -> dict[str, Any]:
    answer = ChatAnswer()
    for events in parsing.read():
        for event in events:
            answer.add(event)
    message: dict[str, Any] = answer.encode(0, wants_logprobs=False)["message"]
    _drop_empty_ids(message)
    return message


def _stream(parsing: RawOutput) -> Iterator[dict[str, Any]]:
    yield ROLE_DELTA
    for events in parsing.read():
        for event in events:
            if delta := encode_delta(event):
                _drop_empty_ids(delta)
                yield delta


def _drop_empty_ids(message: dict[str, Any]) -> None:
    """The server makes ids for formats that carry none; here they would only be noise."""
    for call in message.get("tool_calls", ()):
        if call.get("id") == "":
            del call["id"]


@cache
def _load_template(source: str) -> ChatTemplate:
    return ChatTemplate(source)


@cache
def _read_text(path: Path) -> str:
    try:
        return _decode(path.read_bytes(), str(path))
    except OSError as error:
        problem = f"'template': there is no file '{path}', and it is no Jinja text"
        raise BadRequest(f"{problem} ({error.strerror}).", param="template") from None


def _read_tools(path: Path) -> tuple[Tool, ...]:
    given = _load_json(path.read_bytes(), str(path))
    return validate(_Tools, {"tools": given}).decode_tools()


def _load_json(data: bytes, name: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{name} is not JSON: {error}.") from None


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"{name} is not UTF-8: {error}.") from None


def _print_all(objects: Iterable[dict[str, Any]]) -> None:
    for one in objects:
        click.echo(orjson.dumps(one))
