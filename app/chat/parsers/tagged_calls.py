"""Tool calls whose parameters stand between tags as bare text.

`<function=f><parameter=a>1</parameter></function>`, or with names as attributes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.chat.lark import Lark, escape, one_of
from app.chat.lark import quote as literal
from app.chat.parsers import string_grammar as strings
from app.chat.parsers.json_calls import JsonCalls
from app.chat.parsers.json_text import read_value
from app.chat.parsers.key_text import check_names, take_name
from app.chat.parsers.markers import Markers
from app.chat.parsers.scanner import Malformed, Scanner, Steps
from app.chat.parsers.schema import Schema
from app.chat.parsers.text_grammar import (
    TYPES,
    Member,
    Place,
    write_forms,
    write_members,
    write_text,
    write_typed,
)
from app.chat.parsers.toolbox import Toolbox
from app.chat.parsers.typed_text import STRING, TypedText, quote, read_typed
from app.core.messages import Tool

_NAME = re.compile(r'[^<>"\n]+')
_ATTRIBUTES = re.compile(r"[^<>\n]+")
_SPACE = r"[ \t\r\n]*"
_ATTRIBUTE = re.compile(r'(\w+)="(\w*)"')


@dataclass(frozen=True, slots=True)
class Tag:
    """`open` NAME `name_end` ATTRIBUTES `end`, later `close`.

    `attributes`: what the format itself writes there, as a regular expression, where `{type}` is
    the type of a value and `{is_string}` whether it is a string. `is_escaped`: a name may hold
    `&quot;` and `&amp;`.
    """

    open: str
    close: str
    name_end: str = ""
    end: str = ">"
    attributes: str = ""
    is_escaped: bool = False

    def write(self, lark: Lark, name: str, value_type: str = "") -> str:
        """The grammar of what follows `open`; of `name` too."""
        kind = "number" if value_type == "integer" else value_type
        told = self.attributes.format(type=kind, is_string=str(kind == "string").lower())
        between = f"{lark.text(self.name_end)} {told and f'/{told}/'}" if self.name_end else ""
        return f"{name} {between} {lark.text(self.end)}"

    def read_name(self, scan: Scanner, known: Iterable[str] = ()) -> Steps[tuple[str, str]]:
        """After `open`: the name and the attributes. `known`: names that may look like markup.
        Raises Malformed."""
        spelled = map(self.spell, known)
        name = yield from take_name(scan, spelled, self.name_end or self.end, _NAME)
        yield from scan.take(self.name_end)
        attributes = (yield from scan.read_word(_ATTRIBUTES)) if self.name_end else ""
        yield from scan.take(self.end)
        return (_unescape(name) if self.is_escaped else name), attributes

    def spell(self, name: str) -> str:
        """How a name is written."""
        return name.replace("&", "&amp;").replace('"', "&quot;") if self.is_escaped else name


@dataclass(frozen=True, slots=True)
class TaggedCalls:
    """`open` and `close` stand around one call or several.

    `is_bare`: some calls come without `open`; for these the name must be that of a tool. `pad` is
    what the format adds before and after a value, `quotes` what may stand around it instead.
    `json_tags`: between these all arguments may come as one JSON object.
    """

    open: str
    close: str
    call: Tag
    parameter: Tag
    is_bare: bool = False
    pad: str = ""
    quotes: tuple[str, str] | None = None
    json_tags: tuple[str, str] | None = None

    @property
    def openers(self) -> Markers:
        return Markers(self.open, self.call.open if self.is_bare else "")

    @property
    def markers(self) -> tuple[str, ...]:
        tags = (self.call, self.parameter)
        texts = [text for tag in tags for text in (tag.open, tag.end, tag.close)]
        return tuple(filter(None, (self.open, self.close, *texts)))

    def read(self, scan: Scanner, opener: str, toolbox: Toolbox, /) -> Steps[None]:
        """The calls up to and with the closing marker. Raises Malformed."""
        is_wrapped = opener == self.open
        if is_wrapped:
            yield from scan.skip_space()
            if (yield from scan.peek()) == "{":  # some models write another format's calls there
                yield from JsonCalls(self.open, self.close).read(scan, opener, toolbox)
                return
            yield from scan.take(self.call.open)
        while True:
            name, _ = yield from self.call.read_name(scan)
            if not name or not (is_wrapped or name in toolbox):
                raise Malformed
            scan.start_call(name)
            if not (yield from self._read_json(scan)):
                yield from self._read_parameters(scan, toolbox.parameters_of(name))
            scan.end_call()
            scan.hold()
            yield from self._skip_closing(scan)
            if not (yield from scan.try_take(self.call.open)):
                break

    def write(self, lark: Lark, opener: str, tools: Sequence[Tool], /, *, many: bool) -> str:
        """How the calls are spelled: see `chat.lark`. Parameters come in the schema's order."""
        call = lark.rule(one_of(*(self._write_call(lark, tool) for tool in tools)))
        start = f"{lark.space} {lark.text(self.call.open)}"
        calls = f"{call} ({start} {call})*" if many else call
        if opener != self.open:
            return calls
        return f"{start} {calls} {lark.space} {lark.text(self.close)}"

    def _write_call(self, lark: Lark, tool: Tool) -> str:
        schema = Schema(tool.parameters or {}, tool.parameters or {})
        avoid = self._write_markup(lark, schema)
        check_names(schema, self.parameter.name_end or self.parameter.end, _NAME)

        def write(member: Member) -> str:
            return self._write_parameter(lark, member, avoid)

        head = self.call.write(lark, literal(tool.name))
        parameters = write_forms(schema, lambda form: write_members(lark, schema, form, write))
        end = f"{lark.space} {lark.text(self.call.close)}"
        return one_of(f"{head} {parameters} {end}", lark.check(schema.node))

    def _write_parameter(self, lark: Lark, member: Member, avoid: str) -> str:
        tag, schema = self.parameter, member.schema
        if member.name is not None:
            member = replace(member, key=literal(tag.spell(member.name)))
        if tag.attributes:
            ways = one_of(*self._write_typed(lark, member))
        else:
            pad = literal(self.pad) if self.pad else ""
            place = Place(tag.close, self.pad, avoid)
            value = write_text(lark, place, schema, member.reading)
            ways = f"{tag.write(lark, member.key)} {pad} {value}"
        return f"{lark.space} {lark.text(tag.open)} {ways}"

    def _write_typed(self, lark: Lark, member: Member) -> Iterator[str]:
        tag, schema = self.parameter, member.schema
        for name in sorted(schema.types or TYPES):
            value = write_typed(lark, schema, name, tag.close)
            yield f"{tag.write(lark, member.key, name)} {value}"

    def _write_markup(self, lark: Lark, schema: Schema) -> str:
        """A terminal of strings that the reader would take for more than a value; empty where
        there are none."""
        markup: list[str] = []
        if self.quotes:
            markup.append(f"/{escape(self.quotes[0])}(?s:.)*/")
        if self.pad:
            pad, tag = escape(self.pad), self.parameter
            names = "|".join(map(escape, schema.property_names))
            follows = [f"{escape(self.call.close)}{_SPACE}{escape(self.close)}"]
            follows += [f"{escape(tag.open)}({names}){escape(tag.end)}"] if names else []
            markup.append(f"/(?s:.)*{pad}({'|'.join(follows)})(?s:.)*/")
        return lark.terminal("MARKUP", strings.one_of(*markup)) if markup else ""

    def _skip_closing(self, scan: Scanner) -> Steps[None]:
        """What closes functions and blocks; some models write it more than once."""
        closing = True
        while closing:
            yield from scan.skip_space()
            closing = (yield from scan.take_close(self.call.close)) or (
                self.close and (yield from scan.take_close(self.close))
            )

    def _read_json(self, scan: Scanner) -> Steps[bool]:
        """The arguments as JSON and the end of the call; False where they are none."""
        if self.json_tags is None:
            return False
        yield from scan.skip_space()
        opens, closes = self.json_tags
        if not (yield from scan.try_take(opens)):
            return False
        yield from scan.skip_space()
        yield from read_value(scan, scan.add_arguments)
        yield from scan.skip_space()
        yield from scan.take_close(closes)
        yield from scan.skip_space()
        yield from scan.take_close(self.call.close)
        return True

    def _read_parameters(self, scan: Scanner, schema: Schema) -> Steps[None]:
        """Up to and with the end of the call."""
        keys = set[str]()
        while True:
            yield from scan.skip_space()
            if not (yield from scan.try_take(self.parameter.open)):
                break
            key, attributes = yield from self.parameter.read_name(scan, schema.property_names)
            scan.add_arguments(f"{',' if keys else '{'}{quote(key)}:")
            keys.add(key)
            kind = schema.property(key)
            value = TypedText(kind, scan.add_arguments, _types(attributes, kind))
            yield from self._read_value(scan, value, frozenset(schema.property_names) - keys)
        if not (yield from scan.take_close(self.call.close)) and not (
            self.close and scan.has_more and (yield from scan.looks_at(self.close))
        ):
            raise Malformed
        if keys:
            scan.add_arguments("}")

    def _read_value(self, scan: Scanner, value: TypedText, missing: frozenset[str]) -> Steps[None]:
        """Up to and with the closing tag, or up to what shows that it was forgotten."""
        close, pad = self.parameter.close, self.pad
        if self.quotes and (yield from scan.try_take(self.quotes[0])):
            close = self.quotes[1] + close
        else:
            yield from scan.try_take(pad)
        forgotten = (pad + self.parameter.open, pad + self.call.close) if pad else ()
        ends = Markers(close, pad + close, *forgotten)
        after = [text for text in (self.parameter.open, self.call.close, self.close) if text]

        def is_end(marker: str) -> Steps[bool]:
            if marker in forgotten:
                return (yield from self._has_forgotten_close(scan, marker, missing))
            return (yield from scan.looks_at(*after))

        yield from read_typed(scan, value, ends, is_end)

    def _has_forgotten_close(
        self, scan: Scanner, marker: str, missing: frozenset[str]
    ) -> Steps[bool]:
        """Whether what looks like the next parameter is one of those that are `missing`, and what
        looks like the end of the call really ends it. Then it is still to be taken."""
        scan.skip(-len(marker))
        scan.hold()
        scan.skip(len(marker))
        if marker.endswith(self.call.close):
            yield from scan.skip_space()
            is_next = (yield from scan.take_close(self.close)) or not scan.has_more
        else:
            name = yield from scan.read_word(_NAME)
            is_next = name in missing and (yield from scan.try_take(self.parameter.end))
        scan.restore()
        if not is_next:
            scan.skip(len(marker))
        return is_next


def _unescape(name: str) -> str:
    return name.replace("&quot;", '"').replace("&amp;", "&")


def _types(attributes: str, schema: Schema) -> frozenset[str]:
    """What a parameter's attributes tell of its type, and what they leave to its schema."""
    match dict(_ATTRIBUTE.findall(attributes)):
        case {"string": "true"} | {"type": "string"} if schema.types and not STRING & schema.types:
            return schema.types  # which the request gave, and knows better
        case {"string": "true"}:
            return STRING
        case {"string": "false"}:
            return schema.types - STRING
        case {"type": str(name)}:
            return frozenset({name})
        case _:
            return schema.types
