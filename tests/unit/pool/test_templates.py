"""Which template a model is given, and what the list says of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.api.openai.encode.models import encode_model
from app.catalog.entries import ModelEntry, build_catalog
from app.catalog.gguf import GgufHeader
from app.config.manifest import Manifest, read_manifest
from app.config.settings import Settings
from app.core.errors import ConfigurationError
from app.pool.describe import describe
from app.pool.templates import check_templates, make_templates
from scripts.make_gguf import write_tiny_llama
from tests.unit.services.scripted import ByteTokenizer

PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"
TOOLS = "{% for t in tools %}{{ t.function.name }}{% endfor %}" + PLAIN


@pytest.fixture
def entry(tmp_path: Path) -> ModelEntry:
    write_tiny_llama(tmp_path / "m.gguf")
    (found,) = build_catalog(Manifest(builtin=False), tmp_path, tmp_path)
    return found


def with_templates(entry: ModelEntry, **templates: str) -> ModelEntry:
    assert isinstance(entry.header, GgufHeader)
    known = {f"tokenizer.chat_template.{name}": text for name, text in templates.items()}
    if "default" in templates:
        known["tokenizer.chat_template"] = known.pop("tokenizer.chat_template.default")
    return replace(entry, header=replace(entry.header, metadata=known))


def test_a_file_may_have_a_template_for_tools(entry: ModelEntry) -> None:
    made = make_templates(
        with_templates(entry, default=PLAIN, tool_use=TOOLS, rag="{{ 1 }}"), ByteTokenizer()
    )
    assert made.plain is not None
    assert made.tools is not None
    assert (made.plain.source, made.tools.source) == (PLAIN, TOOLS)
    assert made.info is not None
    assert (made.info.source, made.info.tools) == ("gguf", "template")
    assert made.info.variants == ("default", "rag", "tool_use")


def test_without_a_template_chatml(entry: ModelEntry) -> None:
    made = make_templates(with_templates(entry), ByteTokenizer())
    assert made.info is not None
    assert (made.info.source, made.info.tools) == ("chatml", "text")


def test_the_manifest_chooses(entry: ModelEntry) -> None:
    known = with_templates(entry, default=PLAIN, tool_use=TOOLS)
    for chosen, source in (
        (replace(known, chat_template="{{ messages }}"), "{{ messages }}"),
        (replace(known, chat_template_name="tool_use"), TOOLS),
    ):
        made = make_templates(chosen, ByteTokenizer())
        assert made.plain is not None
        assert (made.plain.source, made.tools) == (source, None)
        assert made.info is not None
        assert made.info.source == "manifest"


def test_a_broken_template_for_tools_leaves_the_plain_one(entry: ModelEntry) -> None:
    made = make_templates(
        with_templates(entry, default=PLAIN, tool_use="{% for %}"), ByteTokenizer()
    )
    assert made.plain is not None
    assert (made.tools, made.error) == (None, None)


def test_what_the_list_tells(entry: ModelEntry) -> None:
    source = PLAIN + "{% if enable_thinking %}<think>{% else %}<think></think>{% endif %}"
    made = make_templates(with_templates(entry, default=source), ByteTokenizer())
    row = replace(describe(entry, Settings(), "hot"), chat_template=made.info)
    assert encode_model(row)["chat_template"] == {
        "source": "gguf",
        "variants": ["default"],
        "system_role": True,
        "tools": "text",
        "parallel_tool_calls": True,
        "content_parts": False,
        "reasoning": {"switch": "enable_thinking", "efforts": []},
    }
    assert encode_model(describe(entry, Settings(), "cold"))["chat_template"] is None


def test_a_format_of_the_manifest_must_exist(entry: ModelEntry, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models:\n  - id: a\n    source: m.gguf\n    tool_format: herms\n")
    manifest = read_manifest(path)
    with pytest.raises(ConfigurationError) as caught:
        check_templates(manifest, build_catalog(manifest, tmp_path, tmp_path))
    said = f"{path}:4: models[0].tool_format: there is no format 'herms'; known: apertus, apriel, "
    assert caught.value.message.startswith(said)
    assert " hermes, " in caught.value.message
    path.write_text("models:\n  - id: a\n    source: m.gguf\n    tool_format: lfm2\n")
    catalog = build_catalog(read_manifest(path), tmp_path, tmp_path)
    check_templates(read_manifest(path), catalog)
    assert catalog[0].tool_format == "lfm2"


def test_a_template_of_the_manifest_must_compile(entry: ModelEntry, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(
        "models:\n  - id: a\n    source: m.gguf\n    chat_template: |\n      x\n      {% for %}\n"
    )
    manifest = read_manifest(path)
    with pytest.raises(ConfigurationError) as caught:
        check_templates(manifest, build_catalog(manifest, tmp_path, tmp_path))
    place, _, problem = caught.value.message.partition(": ")
    assert place == f"{path}:4"
    assert problem.startswith("models[0].chat_template: The chat template is broken: line 2: ")
