"""What Tab offers in a chat, and how blocks of lines begin and end."""

import pytest

from app.cli.chat.commands import complete
from app.cli.chat.terminal import is_open_block, take_block


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("/mo", ["/models", "/model"]),
        ("/set th", ["think", "thoughts", "theme"]),
        ("/set thoughts ", ["show", "hide"]),
        ("/set think me", ["medium"]),
        ("/set parameter top", ["top_k", "top_p"]),
        ("/load q", ["qwen"]),
        ("/model ", ["qwen", "tiny"]),
        ("/set format j", ["json"]),
        ("/help ", []),
        ("hello /mo", []),
        ("", []),
    ],
)
def test_completion(line: str, options: list[str]) -> None:
    found, replaced = complete(line, lambda: ["qwen", "tiny"])
    assert found == options
    assert not found or replaced == len(line.rpartition(" ")[2])


def test_names_are_asked_for_only_where_they_are_meant() -> None:
    def names() -> list[str]:
        raise AssertionError("a server was asked")

    assert complete("/set ", names)[0]


@pytest.mark.parametrize(
    ("text", "is_open", "taken"),
    [
        ("hello", False, "hello"),
        ('"""', True, ""),
        ('"""one', True, "one"),
        ('"""one\ntwo"""', False, "one\ntwo"),
        ('"""\none\n"""', False, "one"),
        ('""""""', False, ""),
        ('say """x', False, 'say """x'),
        ("  kept  ", False, "  kept  "),
    ],
)
def test_blocks(text: str, is_open: bool, taken: str) -> None:
    assert is_open_block(text) is is_open
    assert take_block(text) == taken
