"""The Jinja environment in which models' chat templates run: sandboxed and bounded."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Never, cast

from jinja2 import TemplateError, nodes, pass_context
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from app.chat.budget import check_size, check_value, is_given, spend, spend_on
from app.chat.operations import (
    COMPARING,
    FORBIDDEN_METHODS,
    LIST_METHODS,
    OPERATORS,
    bounded_filters,
    check_method,
    check_operator,
    metered,
    write,
)

_STRFTIME_LENGTH = 256


class TemplateRaised(TemplateError):
    """The template itself refused, with `raise_exception`."""


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Everything a template does goes through here and spends from the budget."""

    intercepted_binops = OPERATORS

    @property
    def tick(self) -> None:
        """Read at the start of every turn of a loop, and of every macro and block. (An attribute
        and no method: a call from a template costs ten times as much.)"""
        spend()

    def join_texts(self, *values: Any) -> str:
        """The `~` operator."""
        texts = [write(value) for value in values]
        check_size(sum(map(len, texts)))
        return spend_on("".join(texts))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        spend()
        checked = check_method(obj, args, kwargs)
        return spend_on(super().call(context, obj, *checked, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        check_operator(operator, left, right)
        return spend_on(super().call_binop(context, operator, left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, list) and attr in LIST_METHODS:
            return not is_given(cast("list[Any]", obj))
        return attr not in FORBIDDEN_METHODS and super().is_safe_attribute(obj, attr, value)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        return cast("nodes.Template", _Metering().visit(tree))


class Generation(Extension):
    """`{% generation %}`: marks what a model wrote, for those who train it. Here it is text."""

    tags = frozenset({"generation"})  # pyright: ignore[reportAssignmentType] - Jinja's is a set

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Metering(NodeTransformer):
    """Puts `tick` where a template could go round, and a call of `join_texts` in place of `~`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja finds it by its name
        return self._tick(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        return self._tick(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        return self._tick(node)

    def visit_Block(self, node: nodes.Block) -> nodes.Node:  # noqa: N802
        return self._tick(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        """What is looked for is checked, what it is looked for in need not be."""
        self.generic_visit(node)
        node.expr = _guarded(node.expr)
        for operand in node.ops:
            if operand.op not in {"in", "notin"}:
                operand.expr = _guarded(operand.expr)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        joined = nodes.EnvironmentAttribute("join_texts", lineno=node.lineno)
        return nodes.Call(joined, node.nodes, [], None, None, lineno=node.lineno)

    def _tick(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        tick = nodes.EnvironmentAttribute("tick", lineno=node.lineno)
        node.body.insert(0, nodes.ExprStmt(tick, lineno=node.lineno))
        return node


def _comparable(value: Any) -> Any:
    """Around what is compared: lists that share their parts can take forever."""
    check_value(value)
    return value


def _guarded(value: nodes.Expr) -> nodes.Expr:
    """As a filter: a call from a template costs ten times as much."""
    if isinstance(value, nodes.Const):
        return value
    return nodes.Filter(value, "comparable", [], [], None, None, lineno=value.lineno)


def _raise_exception(message: object = "") -> Never:
    raise TemplateRaised(write(message))


def _strftime_now(format_: str) -> str:
    check_size(0 if len(format_) <= _STRFTIME_LENGTH else len(format_) ** 4)
    return datetime.now().astimezone().strftime(format_)


@pass_context
def _finalize(_context: Context, value: Any) -> Any:
    """Every value that is written out. (It takes the context so that none is written early.)"""
    return spend_on(value if isinstance(value, str) else write(value))


def make_environment() -> BoundedEnvironment:
    made = BoundedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", Generation],
        optimized=False,  # nothing is computed while compiling
        finalize=_finalize,
    )
    filters = cast("dict[str, Callable[..., Any]]", made.filters)
    filters = bounded_filters(filters)
    filters["comparable"] = _comparable
    made.filters = filters
    tests = cast("dict[str, Callable[..., Any]]", made.tests)
    made.tests = {name: metered(test, compares=name in COMPARING) for name, test in tests.items()}
    names = cast("dict[str, Any]", made.globals)
    del names["lipsum"]
    names["raise_exception"] = _raise_exception
    names["strftime_now"] = _strftime_now
    return made
