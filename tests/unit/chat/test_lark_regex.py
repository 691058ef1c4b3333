"""Lark grammars without recursion as regular expressions."""

import re

import pytest

from app.chat.lark_regex import MAX_CHARACTERS, Unsupported, lark_to_regex

CALCULATION = """
start: expr
expr: term (SP ADD SP term)* -> add
    | term
term: factor (SP MUL SP factor)* -> mul
    | factor  // no brackets: they would need a stack
factor: INT
SP: " "
ADD: "+"
MUL: "*"
%import common.INT
"""


@pytest.mark.parametrize(
    ("grammar", "fine", "wrong"),
    [
        (CALCULATION, ["1", "1 + 22 * 3 + 4"], ["", "1+2", "1 + ", "1 - 2"]),
        ("start: /a|b/ c\nc: /[\\/]|\\/x/", ["a/", "b/x"], ["a", "b", "ax"]),
        ('start: "a" | b "c"\nb: "x"\n  | "y"', ["a", "xc", "yc"], ["ac", "x"]),
        ('start: "a"~2 "b"~1..2 ["c"] "d"{,1}', ["aab", "aabbcd"], ["ab", "aabbb", "aabdc"]),
        ('start: "a".."c" "\\x41" "\\u00e9" "\\t."', ["aAé\t."], ["dAé\t.", "aAé\tx"]),
        ('start: "Ab"i /cd/i /e.f/s', ["aBCde\nf"], ["abcdEnf"]),
        ('start: W W\nW: "a" "b"\n%ignore / /', ["abab", " ab  ab "], ["a bab"]),
        ("start: NL A\n%import common.LF -> NL\nA: /x/", ["\nx"], ["x"]),
        ('?start: x\n !x: "a"?Y  # as Lark marks rules\nY.2: ":"', [":", "a:"], ["x", "", "a"]),
        ("start: /^a$/ | /b|^c/", ["a", "b", "c"], ["^a$"]),
    ],
)
def test_what_a_grammar_describes(grammar: str, fine: list[str], wrong: list[str]) -> None:
    # \x{..} is how Rust writes it
    pattern = re.sub(r"\\x\{(\w+)\}", lambda m: rf"\u{m[1]:0>4}", lark_to_regex(grammar))
    assert all(re.fullmatch(pattern, text) for text in fine)
    assert not any(re.fullmatch(pattern, text) for text in wrong)


@pytest.mark.parametrize(
    ("grammar", "why"),
    [
        ('start: a\na: "(" a ")" | "x"', r"'a' stands in itself \(line 2\)"),
        ("start: x", "line 1 speaks of 'x'"),
        ('x: "a"', "no rule 'start'"),
        ('"a"\nstart: "a"', "line 1 is no definition"),
        ('start: %json {"type": "object"}', "line 1 has what is not supported"),
        ("start: <|end|>", "line 1 has what is not supported"),
        ("start: /a/x", "flags"),
        ('start: a\na[lazy]: "x"', "line 2 has what is not supported"),
        ('start: "a" . "b"', "has a '.'"),
        ('start: .. "b"', "has a '..'"),
        ('start: a{"x"}', "line 1 has what is not supported"),
        ('start: "a" & "b"', "line 1 has what is not supported"),
        ('start: "a"\nstart: "b"', "line 2 defines 'start' again"),
        ('start: "a" ) | ( "b"', "closes a bracket"),
        ('start: ("a"', "leaves a bracket open"),
        ("start: /a)(b/", "brackets do not match"),
        ('start: "ab".."c"', "range"),
        ('start: "\\q"', "cannot be read"),
        ("start: A\n%import common.C_COMMENT", "imports what is not known"),
        ("start: r0\n" + "\n".join(f"r{n}: r{n + 1}" for n in range(999)), "nested"),
    ],
)
def test_what_is_refused(grammar: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        lark_to_regex(grammar)


def test_what_doubles_with_each_rule() -> None:
    doubled = "\n".join(f"r{n}: r{n + 1} r{n + 1}" for n in range(60))
    with pytest.raises(Unsupported, match="comes to more than"):
        lark_to_regex(f'start: r0\n{doubled}\nr60: "a"')


def test_as_long_as_it_may_be() -> None:
    text = "a" * (MAX_CHARACTERS - 100)
    assert re.fullmatch(lark_to_regex(f'start: "{text}"'), text)
