"""Which chat template a model is given: the manifest's, its file's own, or ChatML."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from app.catalog.entries import ModelEntry
from app.catalog.gguf import DEFAULT_TEMPLATE
from app.chat.compiled import CompiledTemplate
from app.chat.formats.registry import BY_NAME
from app.chat.template import ChatTemplate
from app.config.manifest import CHATML, Manifest
from app.core.errors import ConfigurationError, TemplateRefused
from app.core.models import TemplateInfo, TemplateSource
from app.pool.loaded import Tokenizer, spell

TOOL_TEMPLATE = "tool_use"

_log = structlog.stdlib.get_logger("corral.pool")


@dataclass(frozen=True, slots=True)
class Templates:
    """`tools` is there where requests with tools get another template. `error` says what is wrong
    with `plain`, which is None then."""

    plain: ChatTemplate | None
    tools: ChatTemplate | None
    info: TemplateInfo | None
    error: str | None


def make_templates(entry: ModelEntry, vocabulary: Tokenizer) -> Templates:
    """Compile and try a model's templates.

    A model whose template is broken is served all the same: it completes and embeds.
    """
    known = entry.header.chat_templates if entry.header is not None else {}
    source, plain, tools = _choose(entry, known)
    if source == "chatml":
        _log.info("no chat template in the file: ChatML is used", model=entry.id)
    bos, eos = (spell(vocabulary, one) for one in (vocabulary.bos_token, vocabulary.eos_token))
    try:
        made = ChatTemplate(plain, bos_token=bos, eos_token=eos)
    except TemplateRefused as refusal:
        _warn(entry, refusal.message)
        return Templates(None, None, None, refusal.message)
    if made.traits.problem is not None:
        _warn(entry, made.traits.problem)
    for_tools = None
    if tools is not None:
        try:
            for_tools = ChatTemplate(tools, bos_token=bos, eos_token=eos)
        except TemplateRefused as refusal:
            _warn(entry, f"{TOOL_TEMPLATE}: {refusal.message}")
    info = _describe(source, tuple(known), made, for_tools or made)
    return Templates(made, for_tools, info, None)


def check_templates(manifest: Manifest, catalog: Sequence[ModelEntry]) -> tuple[ModelEntry, ...]:
    """The catalog, with an error for found files whose template cannot be compiled or whose format
    does not exist. Raises ConfigurationError where the manifest has such."""
    mistakes: list[str] = []
    checked: list[ModelEntry] = []
    for index, entry in enumerate(catalog):
        found = [*_find_mistakes(entry)]
        if index < len(manifest.models):
            mistakes += [f"{manifest.locate('models', index, key)}: {said}" for key, said in found]
        elif found and entry.error is None:
            key, said = found[0]
            entry = replace(entry, error=f"is described wrongly: {key}: {said}")  # noqa: PLW2901
        checked.append(entry)
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return tuple(checked)


def _find_mistakes(entry: ModelEntry) -> Iterator[tuple[str, str]]:
    """Key and what is wrong with it."""
    if entry.tool_format is not None and entry.tool_format not in BY_NAME:
        known = ", ".join(sorted(BY_NAME))
        yield "tool_format", f"there is no format {entry.tool_format!r}; known: {known}"
    if entry.chat_template is not None:
        try:
            CompiledTemplate(entry.chat_template)
        except TemplateRefused as refusal:
            yield "chat_template", refusal.message


def _choose(
    entry: ModelEntry, known: Mapping[str, str]
) -> tuple[TemplateSource, str | None, str | None]:
    """Where it comes from, the template (None: ChatML), and the one for requests with tools."""
    if entry.chat_template is not None:
        return "manifest", entry.chat_template, None
    name = entry.chat_template_name
    if name is not None:
        return "manifest", None if name == CHATML else known[name], None
    if not known:
        return "chatml", None, None
    plain = known.get(DEFAULT_TEMPLATE) or next(iter(known.values()))
    return "gguf", plain, known.get(TOOL_TEMPLATE)


def _describe(
    source: TemplateSource, variants: tuple[str, ...], plain: ChatTemplate, tools: ChatTemplate
) -> TemplateInfo:
    can, with_tools = plain.traits, tools.traits
    return TemplateInfo(
        source=source,
        variants=variants,
        system=can.system,
        tools="template" if with_tools.tools else "text" if with_tools.takes_tools else None,
        parallel_tool_calls=with_tools.parallel_calls,
        content_parts=can.conventions.parts != "never",
        thinking=can.thought is not None,
        thinking_switch=can.switch.variable if can.switch else None,
        reasoning_efforts=can.effort.levels if can.effort else (),
    )


def _warn(entry: ModelEntry, reason: str) -> None:
    _log.warning("chat template does not work", model=entry.id, reason=reason)
