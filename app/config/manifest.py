"""`models.yaml`: which models are served, from where, and how each differs from the settings.

Every key here has an effect; a key that has none yet does not exist. Unknown keys are refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from app.config.positions import Document, read_document
from app.config.sources import is_remote, parse_remote
from app.core.durations import parse_duration
from app.core.errors import ConfigurationError
from app.core.options import (
    MAX_ADAPTERS,
    MAX_DRAFT_TOKENS,
    MAX_LORA_SCALE,
    MAX_REPLICAS,
    DraftMethod,
    Pooling,
    SplitMode,
)
from app.core.ranges import MAX_BREAKERS, MAX_STOPS, SAMPLING
from app.core.requests import SamplingOverrides

BUILTIN_SCHEME = "builtin://"
BUILTIN_MODEL = "corral-tiny"
CHATML = "chatml"  # the name of the built-in chat template
_ID = r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}"
_ADAPTER_ID = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}"
_LATEST = "latest"  # what Ollama's clients add to a name


def _check_source(source: str) -> str:
    scheme = urlsplit(source).scheme.lower() if "://" in source else ""
    if is_remote(source):
        parse_remote(source)
        return source
    if scheme == "builtin" and source != BUILTIN_SCHEME + BUILTIN_MODEL:
        raise ValueError(f"the only built-in model is {BUILTIN_SCHEME}{BUILTIN_MODEL}")
    if scheme not in {"", "file", "builtin"}:
        raise ValueError(
            f"{scheme}:// is not a source; use a path, file://, hf://, https:// or builtin://"
        )
    return source


def _check_id(name: str) -> str:
    if not re.fullmatch(_ID, name):
        raise ValueError(
            f"{name!r} is not a model name: letters, digits and . _ : / @ + - only, a letter or "
            f"digit first, at most 200"
        )
    return name


def _check_adapter_id(name: str) -> str:
    if not re.fullmatch(_ADAPTER_ID, name) or name == _LATEST:
        raise ValueError(
            f"{name!r} is not a name of an adapter: letters, digits and . _ @ + - only, a letter "
            f"or digit first, at most 64, and not {_LATEST}"
        )
    return name


def _check_adapter_source(source: str) -> str:
    if source.startswith(BUILTIN_SCHEME):
        raise ValueError("no adapter is built in; use a path, file://, hf:// or https://")
    return source


AdapterId = Annotated[str, AfterValidator(_check_adapter_id)]
ModelId = Annotated[str, AfterValidator(_check_id)]
Source = Annotated[str, AfterValidator(_check_source)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
Duration = Annotated[
    float, BeforeValidator(parse_duration), WithJsonSchema({"type": ["number", "string"]})
]
Revision = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._/-]{0,199}$")]
StopText = Annotated[str, Field(min_length=1)]
DeviceName = Annotated[str, Field(pattern=r"^\S{1,100}$")]
Share = Annotated[float, Field(ge=0, le=1e6)]
MAX_TOKENS = 16_777_216  # more than any model takes
Tokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _within(name: str) -> Any:
    """An optional field in the range that requests keep to as well."""
    return Field(default=None, **SAMPLING[name].bounds)


class Sampling(_Strict):
    """How the next token is chosen when a request does not say; the names are llama.cpp's."""

    temperature: float | None = _within("temperature")
    top_k: int | None = _within("top_k")
    top_p: float | None = _within("top_p")
    min_p: float | None = _within("min_p")
    typical_p: float | None = _within("typical_p")
    presence_penalty: float | None = _within("presence_penalty")
    frequency_penalty: float | None = _within("frequency_penalty")
    repeat_penalty: float | None = _within("repeat_penalty")
    repeat_last_n: int | None = _within("repeat_last_n")
    dry_multiplier: float | None = _within("dry_multiplier")
    dry_base: float | None = _within("dry_base")
    dry_allowed_length: int | None = _within("dry_allowed_length")
    dry_penalty_last_n: int | None = _within("dry_penalty_last_n")
    dry_sequence_breakers: list[str] | None = Field(default=None, max_length=MAX_BREAKERS)
    xtc_probability: float | None = _within("xtc_probability")
    xtc_threshold: float | None = _within("xtc_threshold")
    mirostat: Literal[0, 1, 2] | None = None
    mirostat_tau: float | None = _within("mirostat_tau")
    mirostat_eta: float | None = _within("mirostat_eta")

    def overrides(self) -> SamplingOverrides:
        """The fields that were set."""
        given: dict[str, Any] = self.model_dump(exclude_none=True)
        if "dry_sequence_breakers" in given:
            given["dry_sequence_breakers"] = tuple(given["dry_sequence_breakers"])
        return SamplingOverrides(**given)


class Embedding(_Strict):
    """How the model makes vectors."""

    enabled: bool = Field(default=True, description="Whether the model serves embeddings.")
    pooling: Pooling | None = Field(
        default=None,
        description="How token vectors become one; the model's own by default, else mean.",
    )


class Defaults(_Strict):
    """What holds for every entry that does not say otherwise."""

    context_window: Tokens | None = Field(
        default=None, description="Longest prompt and answer together, in tokens."
    )
    max_output_tokens: Tokens | None = Field(
        default=None, description="Longest answer, in tokens; the context window by default."
    )
    gpu_layers: int | None = Field(
        default=None, ge=-1, description="Layers to offload to the GPU; -1 for all of them."
    )
    devices: list[DeviceName] | None = Field(
        default=None,
        min_length=1,
        description="GPUs to use, by the names that the log and `/v1/models` show; all by default.",
    )
    split_mode: SplitMode | None = Field(
        default=None,
        description="How the model lies on several GPUs: `layer`: whole layers on each; `row`: "
        "parts of each matrix; `none`: all of it on `main_gpu`.",
    )
    main_gpu: int | None = Field(
        default=None,
        ge=0,
        description="Which of the devices has everything with `split_mode: none`; the first is 0.",
    )
    tensor_split: list[Share] | None = Field(
        default=None,
        min_length=1,
        description="How much of the model each device gets, such as `[3, 1]`; by free memory by "
        "default.",
    )
    replicas: int | None = Field(
        default=None,
        ge=1,
        le=MAX_REPLICAS,
        description="Engines behind the one name: each on GPUs of its own, as far as there are; on "
        "a CPU they share the weights and the threads.",
    )
    max_sequences: int | None = Field(
        default=None,
        ge=1,
        le=255,
        description="Sequences generated at the same time, by each replica.",
    )
    warm_after: Duration | None = Field(
        default=None,
        description="How long it stays hot unused: seconds, or `30s`; then its contexts are freed "
        "and the weights stay. Negative: until the memory is needed.",
    )
    keep_alive: Duration | None = Field(
        default=None,
        description="How long it stays in memory unused: seconds, or `5m`; negative: until its "
        "place is needed.",
    )
    speculation: DraftMethod | None = Field(
        default=None,
        description="Who guesses tokens ahead where a request does not say: off, ngram, model "
        "(the draft) or mtp (layers of the model made for it).",
    )
    draft_tokens: int | None = Field(
        default=None,
        ge=1,
        le=MAX_DRAFT_TOKENS,
        description="Most tokens guessed ahead of one sequence in a step.",
    )
    sampling: Sampling = Field(
        default_factory=Sampling,
        description="Sampling where a request does not say.",
    )


class Companion(_Strict):
    """A file that goes with a model."""

    source: Source = Field(description="The GGUF file, as the model's `source`.")
    sha256: Sha256 | None = Field(
        default=None, description="Digest that this file must have; checked before the first load."
    )


class Draft(Companion):
    """A smaller model with the same vocabulary."""


class Projector(Companion):
    """What turns images into the model's own embeddings."""


class Lora(Companion):
    """A LoRA adapter for the model."""

    id: AdapterId = Field(
        description="Name of the adapter; unique in its model. The model with it is `MODEL:NAME`."
    )
    source: Annotated[Source, AfterValidator(_check_adapter_source)] = Field(
        description="The adapter's GGUF file, as the model's `source`; none is built in."
    )
    scale: float = Field(
        default=1.0,
        ge=-MAX_LORA_SCALE,
        le=MAX_LORA_SCALE,
        description="How strongly it is applied where a request does not say; 1 as it was trained.",
    )


class Traits(Defaults):
    """What can be said of a model, wherever its file is."""

    chat_template: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="Chat template, instead of the file's own: the name of one (`chatml`, or of "
        "one in the model's file, such as `tool_use`), a file relative to the manifest, or the "
        "Jinja text itself.",
    )
    tool_format: str | None = Field(
        default=None,
        description="How the model writes thoughts and tool calls, where its template does not "
        "tell: the name of a format in docs/templates.md.",
    )
    system_prompt: str | None = Field(
        default=None, description="System message of conversations that have none."
    )
    stop: Annotated[list[StopText], Field(max_length=MAX_STOPS)] = Field(
        default_factory=list[str],
        description="Strings that end an answer where a request names none.",
    )
    embedding: Embedding = Field(
        default_factory=Embedding,
        description="How the model makes vectors.",
    )


class Entry(Traits):
    """One model."""

    id: ModelId = Field(description="Name that requests use; unique.")
    source: Source = Field(
        description="The GGUF file: a path (relative to the manifest), file:///absolute/path, "
        "hf://OWNER/REPO/FILE[@REVISION], https://..., or builtin://corral-tiny. Of a file in "
        "parts, the first."
    )
    sha256: Sha256 | None = Field(
        default=None, description="Digest that the file must have; checked before the first load."
    )
    size: int | None = Field(
        default=None, ge=1, description="Bytes that the file must have; all its parts together."
    )
    revision: Revision | None = Field(
        default=None, description="Commit on the hub that the file is pulled from."
    )
    aliases: list[ModelId] = Field(
        default_factory=list[ModelId], description="Further names that requests may use; unique."
    )
    pin: bool = Field(default=False, description="Stays in memory, and hot, once loaded.")
    draft: Draft | None = Field(
        default=None,
        description="A smaller model with the same vocabulary, which guesses tokens ahead where "
        "`speculation` or a request says `model`.",
    )
    projector: Projector | None = Field(
        default=None,
        description="The model's image projector (`mmproj`): pulled, locked and checked with the "
        "model. Nothing reads images yet.",
    )
    lora: list[Lora] = Field(
        default_factory=list[Lora],
        max_length=MAX_ADAPTERS,
        description="LoRA adapters, each served as a model of its own on the same weights.",
    )

    def companions(self) -> Iterator[tuple[tuple[int | str, ...], Companion]]:
        """The files beside the model's own, each after the keys that lead to it."""
        if self.draft is not None:
            yield ("draft",), self.draft
        if self.projector is not None:
            yield ("projector",), self.projector
        for number, adapter in enumerate(self.lora):
            yield ("lora", number), adapter

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.revision is not None and not self.source.startswith("hf://"):
            raise ValueError("revision is for hf:// sources")
        if self.speculation == "model" and self.draft is None:
            raise ValueError("speculation: model needs a draft")
        return self


class Manifest(_Strict):
    """The whole file."""

    builtin: bool = Field(default=True, description="Whether the built-in model is served as well.")
    defaults: Defaults = Field(
        default_factory=Defaults,
        description="What holds for every entry that does not say otherwise.",
    )
    models: list[Entry] = Field(default_factory=list[Entry], description="The models.")
    _document: Document | None = PrivateAttr(default=None)

    def locate(self, *location: int | str) -> str:
        """`models.yaml:7: models[0].source` for the path of keys and indices to a value."""
        return (self._document or Document("models.yaml", None, None)).locate(location)


def read_manifest(path: Path) -> Manifest:
    """Parse and check a manifest.

    Raises ConfigurationError with one line per mistake: file, line, key and what is wrong.
    """
    document = read_document(path)
    try:
        manifest = Manifest.model_validate(document.value)
        manifest._document = document  # pyright: ignore[reportPrivateUsage]
    except ValidationError as error:
        lines = [document.explain(dict(item), Manifest) for item in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None
    if mistakes := _find_clashes(manifest, document):
        raise ConfigurationError("\n".join(mistakes))
    return manifest


def is_template_text(said: str) -> bool:
    """Whether `chat_template` is the template itself, and no name or file of one."""
    return "{{" in said or "{%" in said


def resolve_source(source: str, base: Path, models_dir: Path) -> Path | None:
    """The path a source names, relative ones seen from `base`; None for the built-in model. What
    is pulled lies in `models_dir`."""
    if is_remote(source):
        return models_dir / parse_remote(source).place
    if source.startswith(BUILTIN_SCHEME):
        return None
    text = unquote(urlsplit(source).path) if source.startswith("file://") else source
    return base / Path(text).expanduser()


def schema() -> dict[str, Any]:
    """The JSON schema of `models.yaml`, for editors."""
    made = Manifest.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "models.yaml of Corral",
    }


def _find_clashes(manifest: Manifest, document: Document) -> list[str]:
    """Names that two models claim; a model with an adapter is one, by all names of its base."""
    owners: dict[str, str] = {}
    mistakes: list[str] = []
    for index, entry in enumerate(manifest.models):
        claims = [(("models", index, "id"), entry.id)]
        claims += [
            (("models", index, "aliases", place), alias)
            for place, alias in enumerate(entry.aliases)
        ]
        claims += [
            (("models", index, "lora", place, "id"), f"{name}:{adapter.id}")
            for place, adapter in enumerate(entry.lora)
            for name in (entry.id, *entry.aliases)
        ]
        for location, name in claims:
            if name in owners:
                taken = f"the name {name} already belongs to {owners[name]}"
                mistakes.append(f"{document.locate(location)}: {taken}")
            owners.setdefault(name, entry.id)
    return mistakes
