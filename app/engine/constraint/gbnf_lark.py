"""Writing GBNF rules as a Lark grammar that llguidance runs fast.

GBNF describes characters; llguidance first cuts text into lexemes, by regular expressions that
match as much as they can, and then parses those. So everything that is regular becomes one
lexeme, as large as possible: a grammar without recursion is a single one, and means exactly what
it says. Where rules are recursive, the lexemes end where recursion begins, and there a repeat takes
all that it can: `[a-z]* value "x"` does not give an "x" back.
"""

import json
from collections.abc import Iterable, Mapping

from app.engine.constraint.gbnf import (
    Chars,
    GbnfError,
    Literal,
    Node,
    Options,
    Repeat,
    Rule,
    Series,
    Token,
    parse_gbnf,
)
from app.engine.constraint.vocabulary import FindToken


def gbnf_to_lark(text: str, find_token: FindToken) -> str:
    """Raises GbnfError."""
    return _Writer(parse_gbnf(text), find_token).write()


class _Writer:
    """Rules that are regular are written as terminals (upper case), the others as rules."""

    def __init__(self, rules: Mapping[str, Node], find_token: FindToken) -> None:
        self._rules = rules
        self._find_token = find_token
        self._numbers = {name: number for number, name in enumerate(rules)}
        self._irregular = _find_irregular(rules)
        self._lines: list[str] = []
        self._terminals: dict[str, str] = {}

    def write(self) -> str:
        for name, node in self._rules.items():
            if name in self._irregular:
                self._lines.append(f"{self._name(name)}: {self._rule(node)}")
            else:
                self._lines.append(f"{self._name(name)}: {self._terminal(node)}")
        return "\n".join([f"start: {self._name('root')}", *self._lines])

    def _name(self, rule: str) -> str:
        letter = "r" if rule in self._irregular else "R"
        return f"{letter}{self._numbers[rule]}"

    def _is_regular(self, node: Node) -> bool:
        return not any(
            isinstance(part, Token) or (isinstance(part, Rule) and part.name in self._irregular)
            for part in _leaves(node)
        )

    def _rule(self, node: Node) -> str:
        """What stands in a rule; regular neighbours and options come together as terminals."""
        if self._is_regular(node):
            return self._lexeme(node)
        match node:
            case Rule(name):
                return self._name(name)
            case Token():
                return self._token(node)
            case Repeat(part, least, most):
                return f"({self._rule(part)}){_spell_counts(least, most)}"
            case Series(parts):
                return " ".join(f"({self._rule(part)})" for part in self._join(parts))
            case Options(options):
                regular = tuple(option for option in options if self._is_regular(option))
                others = [option for option in options if not self._is_regular(option)]
                joined = [Options(regular), *others] if regular else others
                return " | ".join(f"({self._rule(option)})" for option in joined)
            case _:
                raise AssertionError(f"{node} is regular")

    def _join(self, parts: Iterable[Node]) -> list[Node]:
        joined: list[Node] = []
        run: list[Node] = []
        for part in parts:
            if self._is_regular(part):
                run.append(part)
                continue
            joined += [Series(tuple(run)), part] if run else [part]
            run = []
        return [*joined, Series(tuple(run))] if run else joined

    def _lexeme(self, node: Node) -> str:
        """The name of a terminal for this node; the same text is the same terminal."""
        spelled = self._terminal(node)
        if spelled not in self._terminals:
            self._terminals[spelled] = f"T{len(self._terminals)}"
            self._lines.append(f"{self._terminals[spelled]}: {spelled}")
        return self._terminals[spelled]

    def _terminal(self, node: Node) -> str:
        match node:
            case Literal(text):
                return json.dumps(text)
            case Chars():
                return _spell_chars(node)
            case Rule(name):
                return self._name(name)
            case Repeat(part, least, most):
                return f"({self._terminal(part)}){_spell_counts(least, most)}"
            case Series(parts):
                return " ".join(f"({self._terminal(part)})" for part in parts) or '""'
            case Options(options):
                return " | ".join(f"({self._terminal(option)})" for option in options)
            case Token():
                raise AssertionError("a token is not text")

    def _token(self, token: Token) -> str:
        number = token.id
        if token.text is not None:
            number = self._find_token(token.text)
        if number is None:
            raise GbnfError(f"line {token.line}: the model has no token {token.text}")
        return f"<[^{number}]>" if token.is_negated else f"<[{number}]>"


def _find_irregular(rules: Mapping[str, Node]) -> set[str]:
    """Rules that can reach themselves, hold tokens, or lead to such rules."""
    waits_for: dict[str, set[str]] = {}
    users: dict[str, list[str]] = {name: [] for name in rules}
    for name, node in rules.items():
        leaves = list(_leaves(node))
        if any(isinstance(leaf, Token) for leaf in leaves):
            continue
        waits_for[name] = {leaf.name for leaf in leaves if isinstance(leaf, Rule)}
        for used in waits_for[name]:
            users[used].append(name)
    irregular = set(rules)
    ready = [name for name, used in waits_for.items() if not used]
    while ready:  # a rule is regular once all the rules it uses are
        name = ready.pop()
        irregular.remove(name)
        for user in users[name]:
            waits_for[user].remove(name)
            if not waits_for[user]:
                ready.append(user)
    return irregular


def _leaves(node: Node) -> Iterable[Node]:
    left = [node]
    while left:
        one = left.pop()
        match one:
            case Repeat(part):
                left.append(part)
            case Series(parts):
                left.extend(parts)
            case Options(options):
                left.extend(options)
            case _:
                yield one


def _spell_counts(least: int, most: int | None) -> str:
    if (least, most) == (0, 1):
        return "?"
    if most is None:
        return {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    return f"{{{least},{most}}}"


def _spell_chars(chars: Chars) -> str:
    """By code points: nothing has to be escaped, and no flag changes what is meant."""
    if not chars.ranges:
        return "/(?s:.)/" if chars.is_negated else "/[^\\s\\S]/"
    spelled = "".join(f"\\x{{{ord(a):X}}}-\\x{{{ord(b):X}}}" for a, b in chars.ranges)
    return f"/[{'^' if chars.is_negated else ''}{spelled}]/"
