"""`corral run` and `corral chat`."""

import asyncio
import os
import stat
import sys

import click

from app.cli.chat.options import Wish, answer_options
from app.cli.completions import ModelName
from app.cli.lazy import INTERRUPTED
from app.cli.names import DEFAULT_MODEL
from app.cli.refusal import BadConfiguration, Refusal
from app.cli.target import Where, model_argument, where_options


@click.command(context_settings={"max_content_width": 100})
@model_argument()
@click.argument("prompt", metavar="[PROMPT]...", nargs=-1)
@click.option("--json", "output", flag_value="json", help="Print the answer as one JSON object.")
@click.option(
    "--ndjson",
    "output",
    flag_value="ndjson",
    help="Print a JSON object for each piece, then --json's.",
)
@answer_options
@where_options
def run(
    *, model: str, prompt: tuple[str, ...], output: str | None, wish: Wish, where: Where
) -> None:
    """Ask MODEL for one answer to PROMPT, or talk to it where there is none.

    What is piped in is the prompt, or follows it after an empty line:
    `cat notes.txt | corral run qwen3-4b "Summarise this:"`. Into a pipe goes the plain text of the
    answer alone. The server that runs here is asked; without one, the model is loaded into this
    process.
    """
    question = "\n\n".join(filter(None, (_join(prompt), _read_pipe())))
    if question:
        _ask_once(model, question, output, wish, where)
        return
    _check_terminal("give a PROMPT, or pipe one in")
    if output is not None:
        raise BadConfiguration(f"--{output} needs a PROMPT")
    _talk(model, wish, where)


@click.command(context_settings={"max_content_width": 100})
@click.option(
    "--model", "-m", type=ModelName(), default=DEFAULT_MODEL, help="The model to talk to."
)
@answer_options
@where_options
def chat(*, model: str, wish: Wish, where: Where) -> None:
    """Talk to a model in the terminal; /help there tells more.

    Without --model it is the server's default, or here LLM_DEFAULT_MODEL.
    """
    _check_terminal("`corral run MODEL PROMPT` answers without one")
    _talk(model, wish, where)


def _join(prompt: tuple[str, ...]) -> str:
    text = " ".join(prompt)
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are no text in this locale
        raise BadConfiguration("the PROMPT is not text in UTF-8") from None
    return text


def _check_terminal(remedy: str) -> None:
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadConfiguration(f"a chat needs a terminal: {remedy}")


def _read_pipe() -> str:
    """What a pipe or a file brings; nothing from a terminal, from /dev/null or where standard
    input is closed."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    try:
        kind = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):  # closed, or not a file at all
        kind = stat.S_IFIFO
    if stat.S_ISCHR(kind):
        return ""
    try:
        return sys.stdin.read().strip("\n")
    except UnicodeDecodeError as error:
        raise Refusal(f"what was piped in is not text: {error}") from None


def _ask_once(model: str, question: str, output: str | None, wish: Wish, where: Where) -> None:
    from app.cli.chat.opening import open_chat  # noqa: PLC0415  # the HTTP client
    from app.cli.chat.session import ask_once  # noqa: PLC0415

    with open_chat(where, model, wish.keep_alive) as (remote, row):
        is_whole = asyncio.run(ask_once(remote, row, wish, question, output))
    if not is_whole:
        sys.exit(INTERRUPTED)


def _talk(model: str, wish: Wish, where: Where) -> None:
    from app.cli.chat.opening import open_chat  # noqa: PLC0415  # as above
    from app.cli.chat.session import talk  # noqa: PLC0415

    with open_chat(where, model, wish.keep_alive) as (remote, row):
        asyncio.run(talk(remote, row, wish))
