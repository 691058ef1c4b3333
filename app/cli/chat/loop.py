"""The chat in a terminal: read, answer, again."""

import asyncio
import shutil
import textwrap

import click

from app.cli.chat.commands import Commands
from app.cli.chat.interrupt import Interrupted, Interrupts
from app.cli.chat.live import LiveDisplay
from app.cli.chat.stats import write_turn
from app.cli.chat.talk import INTERRUPTED
from app.cli.chat.terminal import Terminal, no_echo
from app.cli.refusal import Refusal
from app.cli.text import clean
from app.cli.theme import PALETTES


async def chat(commands: Commands, interrupts: Interrupts) -> None:
    """Until somebody leaves. What goes wrong is said in one line, and the chat goes on."""
    terminal = Terminal(commands.state, commands.names)
    display = LiveDisplay(commands.look)
    say(f"{commands.talk.conversation.model} · /help for help, Ctrl-D to leave")
    wants_to_leave = False
    while not commands.is_over:
        try:
            line = await interrupts.run(terminal.read())
        except EOFError:
            break
        except Interrupted:
            if wants_to_leave:
                break
            wants_to_leave = True
            say("Ctrl-C again, or Ctrl-D, to leave")
            continue
        wants_to_leave = False
        await _carry_out(line, commands, display, interrupts)


async def _carry_out(
    line: str, commands: Commands, display: LiveDisplay, interrupts: Interrupts
) -> None:
    try:
        if line.startswith("/"):
            said = await interrupts.run(asyncio.to_thread(commands.run, line))
            if said:
                click.echo(wrap(said))
        elif line.strip():
            await _answer(commands, display, line)
    except Interrupted:
        say("interrupted")
    except Refusal as error:
        click.secho(clean(error.message), fg=PALETTES[commands.look.theme].bad, err=True)
    except Exception as error:  # whatever it is, the conversation is worth more
        told = clean(f"that went wrong: {type(error).__name__}: {error}")
        click.secho(" ".join(told.split()), fg=PALETTES[commands.look.theme].bad, err=True)


def say(text: str) -> None:
    """A word of Corral's own, apart from the model's."""
    click.secho(wrap(text), dim=True)


def wrap(text: str) -> str:
    """Lines that fit the terminal, none broken within a word."""
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent="    ", break_on_hyphens=False)
        for line in clean(text).splitlines()
    )


async def _answer(commands: Commands, display: LiveDisplay, question: str) -> None:
    with no_echo():
        turn = await commands.talk.ask(question, display)
    if turn.reason == INTERRUPTED:
        say("(stopped)" if turn.text else "(stopped before anything came; the question is dropped)")
    elif turn.reason == "length":
        say("(cut: no more tokens are left for this answer)")
    if commands.is_verbose:
        say(write_turn(turn, commands.talk.window))
    click.echo()
