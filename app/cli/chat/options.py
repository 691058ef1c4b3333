"""The flags that say how a model should answer, and the conversation that they begin."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from app.cli.chat.conversation import Conversation
from app.cli.chat.parameters import EFFORTS, parse_format, parse_parameter
from app.cli.refusal import BadConfiguration
from app.core.durations import parse_duration

Command = Callable[..., Any]
Json = dict[str, Any]

# Those that are set often have a flag; the others are set by --parameter.
_FLAGS = {
    "temperature": "How freely tokens are chosen; 0 always takes the likeliest.",
    "top_p": "Choose among the likeliest tokens that make up this share.",
    "top_k": "Choose among this many tokens.",
    "min_p": "Leave out tokens less likely than this share of the likeliest.",
    "repeat_penalty": "Make tokens less likely that were there already.",
    "seed": "Make the choice of tokens the same each time.",
    "max_tokens": "Longest answer, in tokens.",
    "stop": "End the answer before this text; may be given several times.",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """How a model should answer. `keep_alive`: seconds that it stays in memory unused."""

    parameters: Json
    system: str | None = None
    format: Json | None = None
    think: bool | str | None = None
    keep_alive: float | None = None
    is_verbose: bool = False
    hides_thoughts: bool = False
    is_plain: bool = False

    def begin(self, model: str) -> Conversation:
        return Conversation(
            model=model,
            system=self.system,
            parameters=dict(self.parameters),
            think=self.think,
            format=self.format,
        )


def answer_options(command: Command) -> Command:
    """How the model should answer; the command gets it as `wish`."""
    taken: Command = _packed(command)
    others = [
        click.option("--system", metavar="TEXT", help="What the model is told before all else."),
        click.option(
            "--format",
            "answer_format",
            metavar="json|FILE",
            help="Hold the answer to JSON, or to the JSON schema in FILE.",
        ),
        click.option("--think/--no-think", default=None, help="Have the model think, or not."),
        click.option("--effort", type=click.Choice(EFFORTS), help="How hard it thinks."),
        click.option("--hide-thoughts", is_flag=True, help="Fold thoughts to one line."),
        click.option("--plain", is_flag=True, help="Show the text as it is, not as Markdown."),
        click.option("--verbose", is_flag=True, help="Tell what each answer took."),
        click.option(
            "--keep-alive",
            metavar="DURATION",
            help="How long the model stays in memory unused: 5m, -1 for ever, 0 not at all.",
        ),
        click.option(
            "--parameter",
            "-p",
            "pairs",
            metavar="NAME=VALUE",
            multiple=True,
            help="Set another parameter of the API, such as xtc_probability=0.1.",
        ),
    ]
    flags = [
        click.option(
            f"--{name.replace('_', '-')}",
            name,
            metavar="TEXT" if name == "stop" else "NUMBER",
            multiple=name == "stop",
            help=text,
        )
        for name, text in _FLAGS.items()
    ]
    for option in reversed([*others[:5], *flags, *others[5:]]):
        taken = option(taken)
    return taken


def _packed(command: Command) -> Command:
    @wraps(command)
    def call(
        *,
        system: str | None,
        answer_format: str | None,
        think: bool | None,
        effort: str | None,
        hide_thoughts: bool,
        plain: bool,
        verbose: bool,
        keep_alive: str | None,
        pairs: tuple[str, ...],
        **others: Any,
    ) -> Any:
        flags = {name: others.pop(name) for name in _FLAGS}
        wish = Wish(
            parameters=_read_parameters(flags, pairs),
            system=system,
            format=parse_format(answer_format) if answer_format else None,
            think=effort if effort is not None else think,
            keep_alive=_read_duration(keep_alive),
            is_verbose=verbose,
            hides_thoughts=hide_thoughts,
            is_plain=plain,
        )
        return command(wish=wish, **others)

    return call


def _read_parameters(flags: Json, pairs: tuple[str, ...]) -> Json:
    stops: tuple[str, ...] = flags.pop("stop")
    read = [parse_parameter(name, value) for name, value in flags.items() if value is not None]
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadConfiguration(f"--parameter {pair}: NAME=VALUE is meant")
        read.append(parse_parameter(name, value))
    found: Json = dict(read)
    if stops:
        found["stop"] = [parse_parameter("stop", text)[1][0] for text in stops]
    return found


def _read_duration(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise BadConfiguration(f"--keep-alive {text}: {error}") from None
