"""YAML with positions: values for pydantic, and the line that each of them stands on."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from app.core.errors import ConfigurationError

Location = Sequence[int | str]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: `value` as plain objects, `root` as ruamel's node tree (None when empty)."""

    name: str
    value: Any
    root: Any

    def locate(self, location: Location) -> str:
        """`models.yaml:7: models[0].source` for the path of keys and indices to a value."""
        return f"{self.name}:{self._line(location)}: {_dotted(location)}".rstrip(": ")

    def node(self, location: Location) -> Any:
        """ruamel's node at a location that exists."""
        node = self.root
        for part in location:
            _, node = _step(node, part)
        return node

    def explain(self, item: dict[str, Any], schema: type[BaseModel]) -> str:
        """A pydantic error as one line that names file, line, key, and the fix where known."""
        location: Location = item["loc"]
        place = self.locate(location)
        match item["type"]:
            case "extra_forbidden":
                known = _known_keys(schema, location[:-1])
                return f"{place}: unknown key{_suggest(str(location[-1]), known)}"
            case "missing":
                return f"{place}: this key is required"
            case "model_type":
                return f"{place}: must be a mapping of keys"
            case _:
                message = str(item["msg"]).removeprefix("Value error, ")
                return f"{place}: {message[:1].lower()}{message[1:]}"

    def _line(self, location: Location) -> int:
        node, line = self.root, _line_of(self.root)
        for part in location:
            key, child = _step(node, part)
            if child is None:
                break
            node = child
            line = _line_of(key if key is not None else child)
        return line


def read_document(path: Path) -> Document:
    """Parse a YAML 1.2 file. Raises ConfigurationError when it cannot be read or parsed."""
    from ruamel.yaml import YAML  # noqa: PLC0415  # many start without a manifest
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 (byte {error.start})") from None
    parser: Any = YAML(typ="safe", pure=True)  # untyped library
    composer: Any = YAML(typ="safe", pure=True)
    try:
        value = parser.load(text)
        root = composer.compose(text)
    except MarkedYAMLError as error:
        marked: Any = error
        mark = marked.problem_mark or marked.context_mark
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        problem = str(marked.problem or marked.context).splitlines()[0]
        raise ConfigurationError(f"{where}: {problem}") from None
    except (YAMLError, ValueError) as error:
        raise ConfigurationError(f"{path}: {str(error).splitlines()[0]}") from None
    return Document(str(path), {} if value is None else value, root)


def _step(node: Any, part: int | str) -> tuple[Any, Any]:
    """The key node (None in a list) and the value node of one part of a location."""
    kind: str = getattr(node, "id", "")
    children: Any = getattr(node, "value", None)
    if kind == "sequence" and isinstance(part, int) and part < len(children):
        return None, children[part]
    if kind == "mapping":
        for key, child in children:
            if key.value == part:
                return key, child
    return None, None


def _line_of(node: Any) -> int:
    return 1 if node is None else int(node.start_mark.line) + 1


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _suggest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}"


def _known_keys(schema: type[BaseModel], location: Location) -> list[str]:
    """The keys of the model that a location leads to."""
    for part in location:
        if isinstance(part, str):
            schema = _model_in(schema.model_fields[part].annotation) or schema
    return list(schema.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model inside `Model`, `list[Model]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in get_args(annotation))
    return next((model for model in found if model is not None), None)
