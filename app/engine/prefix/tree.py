"""A radix tree over token ids: which saved state a prompt can start from.

Nodes hold runs of tokens and are split where prompts part. States are not split: a `Saved` covers
the nodes it was made for, and what a node needs is cut out of it when it is restored. A state may
leave out the beginning of its sequence where an earlier one, its `base`, has that already: a long
conversation is kept as one state a turn, and a system prompt once for all that begin with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from app.core.memory import SavedRange
from app.engine.runtime import Int32Array


def common_prefix(left: Int32Array, right: Int32Array) -> int:
    """How many tokens two arrays have in common at their beginning."""
    count = min(len(left), len(right))
    if count == 0 or left[0] != right[0]:
        return 0
    differs = left[:count] != right[:count]
    first = int(differs.argmax())
    return first if differs[first] else count


@dataclass(slots=True, eq=False)
class Saved:
    """Positions start..end-1 of a sequence, `tokens`; those before `start` are in `base` and its
    bases.

    Its `size` bytes are `state` where they are in memory, and in the `file` of that name where
    they are on disk. `shortest`: it can be cut back to this many positions, not to fewer. It is
    not thrown away while it has `pins`, or while `dependents` lean on it. `depth` counts its bases.
    """

    tokens: Int32Array
    start: int
    shortest: int
    size: int
    base: "Saved | None" = None
    state: memoryview | None = None
    file: str = ""
    is_unwritten: bool = False  # waits to be written to a file
    dependents: int = 0
    pins: int = 0
    nodes: "list[Node]" = field(default_factory=list["Node"])

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    @property
    def depth(self) -> int:
        return len(list(self.chain())) - 1

    @property
    def is_in_memory(self) -> bool:
        """With all it leans on."""
        return all(piece.state is not None for piece in self.chain())

    @property
    def path(self) -> Int32Array:
        """All tokens from position 0 on."""
        parts: list[Int32Array] = []
        end = self.end
        for piece in self.chain():
            parts.append(piece.tokens[: end - piece.start])
            end = piece.start
        return np.concatenate(parts[::-1])

    def chain(self) -> "Iterator[Saved]":
        """This state and all that it leans on."""
        saved: Saved | None = self
        while saved is not None:
            yield saved
            saved = saved.base


@dataclass(slots=True, eq=False)
class Node:
    """Tokens start..end-1 of every sequence below it; `saved` can be cut back to its end."""

    tokens: Int32Array
    start: int
    parent: "Node | None"
    children: "dict[int, Node]" = field(default_factory=dict[int, "Node"])
    saved: Saved | None = None

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)


@dataclass(frozen=True, slots=True)
class Match:
    """What the tree knows of some tokens: the first `known` of them were seen before, and the
    first `usable` can be restored from `saved`."""

    known: int = 0
    usable: int = 0
    saved: Saved | None = None


class PrefixTree:
    def __init__(self) -> None:
        self._root = Node(np.empty(0, np.int32), 0, None)

    def match(self, tokens: Int32Array, *, in_memory: bool = False) -> Match:
        """`in_memory`: only of what need not be read from a file."""
        known = usable = 0
        found: Saved | None = None
        for node, known in self._walk(tokens):
            saved = node.saved
            if saved is None or known < saved.shortest:
                continue
            if not in_memory or saved.is_in_memory:
                usable, found = known, saved
        return Match(known, usable, found)

    def insert(self, tokens: Int32Array, saved: Saved) -> None:
        """Make `saved`, the state of a sequence of `tokens`, findable. With a start above 0 its
        base must be what `match` gave for the tokens before it."""
        node = self._root
        while node.end < len(tokens):
            child = node.children.get(int(tokens[node.end]))
            if child is None:
                child = self._grow(node, tokens[node.end :])
            else:
                agreed = common_prefix(child.tokens, tokens[node.end :])
                child = self._split(child, child.start + agreed)
            if child.start < saved.start < child.end:
                child = self._split(child, saved.start)
            node = child
            _cover(node, saved)
        if saved.base is not None:
            saved.base.dependents += 1

    def remove(self, saved: Saved) -> None:
        """Forget a state that nothing leans on, and the tokens that no state is left for."""
        for node in saved.nodes:
            node.saved = None
            self._prune(node)
        saved.nodes.clear()
        if saved.base is not None:  # stays its base for those who still hold pins
            saved.base.dependents -= 1

    def _walk(self, tokens: Int32Array) -> Iterator[tuple[Node, int]]:
        """Nodes along `tokens`, each with the position up to which they agree."""
        node, at = self._root, 0
        while at < len(tokens):
            child = node.children.get(int(tokens[at]))
            if child is None:
                return
            at += common_prefix(child.tokens, tokens[at:])
            yield child, at
            if at < child.end:
                return
            node = child

    def _grow(self, parent: Node, tokens: Int32Array) -> Node:
        child = Node(tokens.copy(), parent.end, parent)
        parent.children[int(tokens[0])] = child
        return child

    def _split(self, node: Node, at: int) -> Node:
        """The part of `node` before position `at`, now a node of its own."""
        parent, count = node.parent, at - node.start
        if at == node.end or parent is None:  # the root is empty
            return node
        upper = Node(node.tokens[:count], node.start, parent)
        parent.children[int(node.tokens[0])] = upper
        upper.children[int(node.tokens[count])] = node
        node.tokens, node.start, node.parent = node.tokens[count:], at, upper
        if node.saved is not None:
            _cover(upper, node.saved)
        return upper

    def _prune(self, node: Node) -> None:
        while node.parent is not None and not node.children and node.saved is None:
            parent = node.parent
            del parent.children[int(node.tokens[0])]
            node = parent


def _cover(node: Node, saved: Saved) -> None:
    """Let `saved` serve a node where it can and nothing else does."""
    can = saved.start < node.end and saved.shortest <= node.end
    if can and node.saved is None:
        node.saved = saved
        saved.nodes.append(node)


def ranges(saved: Saved, end: int) -> list[SavedRange]:
    """The pieces that make up the first `end` positions, in order; none when one of them is not
    in memory."""
    parts: list[SavedRange] = []
    for piece in saved.chain():
        if piece.state is None:
            return []
        parts.append(SavedRange(piece.state, piece.start, end))
        end = piece.start
    return parts[::-1]


def cells_to_restore(saved: Saved, end: int, have: int) -> int:
    """The most cells that restoring the first `end` positions takes at a time, beside those of the
    first `have`, which are there: each state is put down whole, then cut."""
    most = 0
    for piece in saved.chain():
        if end <= have:
            break
        most = max(most, max(piece.start - have, 0) + len(piece.tokens))
        end = piece.start
    return most
