"""The settings of the engines: contexts, steps, speculation, the prefix cache."""

from pydantic import Field
from pydantic_settings import BaseSettings

from app.config.fields import (
    GIB,
    AutoCount,
    AutoSwitch,
    Size,
    UserPath,
    unit,
)
from app.core.options import MAX_DRAFT_TOKENS, DraftMethod, KvType

DEFAULT_CONTEXT_CAP = 32_768


class EngineSettings(BaseSettings):
    """A part of `Settings`, which has the rules for how they are read."""

    # The engine
    context_size: AutoCount = Field(
        default=None,
        ge=64,
        description="Longest prompt and answer together.",
        json_schema_extra={
            "unit": "tokens",
            "default_text": f"the model's own, at most {DEFAULT_CONTEXT_CAP}",
        },
    )
    kv_size: AutoCount = Field(
        default=None,
        ge=64,
        description="Cells of the KV cache that all sequences of a model share.",
        json_schema_extra={"unit": "tokens", "default_text": "as the context size"},
    )
    max_sequences: int = Field(
        default=32,
        ge=1,
        le=255,
        description="Sequences generated at the same time by one model.",
        json_schema_extra=unit("sequences"),
    )
    kv_type: KvType = Field(default="f16", description="Number format of the KV cache.")
    kv_unified: bool = Field(
        default=True,
        description="One KV cache for all sequences of a model; `false`: each has a part of its "
        "own, of the size of the context.",
    )
    swa_full: bool = Field(
        default=False,
        description="Keep all that a model with a sliding window has read, not only the window: "
        "more memory, and beginnings are found again in more places.",
    )
    flash_attention: AutoSwitch = Field(
        default="auto", description="Flash attention: auto, on or off."
    )
    backend_sampling: AutoSwitch = Field(
        default="off",
        description="Choose tokens where the logits are, inside llama.cpp's compute graph, for "
        "requests whose sampling it can do: `auto` where the model is offloaded to a GPU. Off "
        "until it has been measured on one.",
    )
    step_tokens: int = Field(
        default=512,
        ge=64,
        le=65_536,
        description="Most prompt tokens in one step of the engine.",
        json_schema_extra=unit("tokens"),
    )
    mixed_step_tokens: int = Field(
        default=128,
        ge=64,
        le=65_536,
        description="Prompt tokens computed between two tokens of running streams until it is "
        "known what a token costs; from then on `LLM_STEP_LATENCY` decides.",
        json_schema_extra=unit("tokens"),
    )
    ubatch_tokens: AutoCount = Field(
        default=None,
        ge=32,
        le=65_536,
        description="Tokens that llama.cpp computes at once inside a step.",
        json_schema_extra={"unit": "tokens", "default_text": "128 on a CPU, 512 with a GPU"},
    )
    step_latency: int = Field(
        default=400,
        ge=0,
        le=60_000,
        description="Longest time between two tokens of a running stream that the engine aims at "
        "while it reads prompts; 0 for no bound.",
        json_schema_extra=unit("milliseconds"),
    )
    embedding_context_size: AutoCount = Field(
        default=None,
        ge=16,
        description="Longest embedding input.",
        json_schema_extra={"unit": "tokens", "default_text": "the model's own, at most 4096"},
    )

    # Speculation
    speculation: DraftMethod = Field(
        default="off",
        description="Who guesses tokens ahead: `off`: nobody; `ngram`: the text so far; `model`: "
        "the draft model of `models.yaml`; `mtp`: layers of the model made for it. A model that "
        "has no such method does without.",
    )
    draft_tokens: int = Field(
        default=4,
        ge=1,
        le=MAX_DRAFT_TOKENS,
        description="Most tokens guessed ahead of one sequence in a step.",
        json_schema_extra=unit("tokens"),
    )

    # The prefix cache
    prefix_cache_bytes: Size = Field(
        default=2 * GIB,
        ge=0,
        description="Main memory that keeps the beginnings of earlier prompts and answers, of all "
        "models together; 0 keeps none.",
        json_schema_extra=unit("bytes", "2GiB"),
    )
    prefix_cache_dir: UserPath | None = Field(
        default=None,
        description="Directory that keeps what leaves main memory, over restarts too.",
    )
    prefix_cache_disk_bytes: Size = Field(
        default=10 * GIB,
        ge=0,
        description="Most that the directory may hold.",
        json_schema_extra=unit("bytes", "10GiB"),
    )
