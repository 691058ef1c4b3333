"""docs/cli.md names every command and every flag that a user of a command needs."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app.cli import main
from app.cli.chat.commands import HELP

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "cli.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", TEXT))
# They are described on pages of their own.
ELSEWHERE = {"serve", "parse", "render", "bench"}


def walk(group: click.Group, path: str = "corral") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from walk(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(walk(main))


@pytest.mark.parametrize("path", list(COMMANDS))
def test_every_command_is_named(path: str) -> None:
    assert f"`{path}`" in TEXT


@pytest.mark.parametrize("path", [path for path in COMMANDS if path.split()[1] not in ELSEWHERE])
def test_every_flag_is_named(path: str) -> None:
    flags = [
        flag
        for option in COMMANDS[path].params
        if isinstance(option, click.Option)
        for flag in (*option.opts, *option.secondary_opts)
    ]
    assert not set(flags) - NAMED


@pytest.mark.parametrize("command", list(HELP))
def test_every_command_of_the_chat_is_named(command: str) -> None:
    assert re.search(rf"\| `{re.escape(command)}[` ]", TEXT)


def test_every_exit_code_is_told() -> None:
    assert re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE) == ["0", "1", "2", "130"]
