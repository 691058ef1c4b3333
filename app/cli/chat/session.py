"""One answer, or a chat, with whoever answers."""

import json
import os
import sys
from contextlib import aclosing

import click

from app.cli.chat.display import Display, JsonDisplay, PlainDisplay
from app.cli.chat.interrupt import Interrupts
from app.cli.chat.options import Wish
from app.cli.chat.stats import encode_turn, write_turn
from app.cli.chat.talk import INTERRUPTED, Talk
from app.cli.remote import Json, Remote
from app.cli.theme import choose_theme


async def ask_once(
    remote: Remote, row: Json, wish: Wish, question: str, output: str | None
) -> bool:
    """Show the answer, and tell whether it is whole. `output`: `json`, `ndjson` or text."""
    display = _choose_display(wish, output)
    with Interrupts() as interrupts:
        async with aclosing(Talk(remote, wish.begin(row["id"]), interrupts)) as talk:
            talk.switch(row)
            turn = await talk.ask(question, display)
            window = talk.window
    if output is not None:
        click.echo(json.dumps(encode_turn(turn)))
    if wish.is_verbose:
        click.echo(write_turn(turn, window), err=True)
    return turn.reason != INTERRUPTED


async def talk(remote: Remote, row: Json, wish: Wish) -> None:
    """A chat in the terminal, until somebody leaves it."""
    from app.cli.chat.commands import Commands  # noqa: PLC0415  # rich and prompt-toolkit
    from app.cli.chat.live import Look  # noqa: PLC0415
    from app.cli.chat.loop import chat  # noqa: PLC0415
    from app.cli.chat.state import State  # noqa: PLC0415

    look = Look(not wish.is_plain, not wish.hides_thoughts, choose_theme())
    with Interrupts() as interrupts:
        async with aclosing(Talk(remote, wish.begin(row["id"]), interrupts)) as made:
            made.switch(row)
            commands = Commands(made, State(), look, is_verbose=wish.is_verbose)
            await chat(commands, interrupts)


def _choose_display(wish: Wish, output: str | None) -> Display:
    if output is not None:
        return JsonDisplay(streams=output == "ndjson")
    if wish.is_plain or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return PlainDisplay()
    from app.cli.chat.live import LiveDisplay, Look  # noqa: PLC0415  # rich: a tenth of a second

    return LiveDisplay(Look(shows_thoughts=not wish.hides_thoughts, theme=choose_theme()))
