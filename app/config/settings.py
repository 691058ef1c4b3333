"""Settings of the service: environment variables `LLM_*`, or the same as flags of `corral serve`.

A flag beats the environment, the environment beats the default. Docs and flags are made from the
fields below, so a setting needs nothing more than a field with a description (and a unit).
"""

import difflib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsConfigDict

from app.config.engine_settings import EngineSettings
from app.config.fields import (
    GIB,
    MIB,
    AutoCount,
    AutoSize,
    AutoSwitch,
    Duration,
    Names,
    Prefixes,
    Shares,
    Size,
    UserPath,
    unit,
)
from app.core.errors import ConfigurationError
from app.core.options import SplitMode

Source = Literal["flag", "environment", "default"]

ENV_PREFIX = "LLM_"
USER_MODELS_DIR = Path("~/.local/share/corral/models")


def _find_models_dir() -> Path:
    local = Path("models")
    return local if local.is_dir() else USER_MODELS_DIR.expanduser()


def _find_manifest() -> Path | None:
    local = Path("models.yaml")
    return local if local.is_file() else None


class Settings(EngineSettings):
    """Everything that can be set. Frozen: settings never change while the service runs."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )
    _flags: frozenset[str] = PrivateAttr(default=frozenset())

    # The listener
    host: str = Field(
        default="127.0.0.1", description="Address to listen on; `0.0.0.0` for every interface."
    )
    server_port: int = Field(
        default=11_434,
        ge=0,
        le=65_535,
        description="TCP port; 0 lets the system choose a free one.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key that callers must send as `Authorization: Bearer`."
    )
    api_keys_file: UserPath | None = Field(
        default=None,
        description="File with more keys, one a line, `priority=batch` after those that wait for "
        "others; `#` starts a comment at the start of a line or after a space.",
    )
    cors_origins: Names = Field(
        default=("*",),
        description="Origins that browsers may call from, comma separated; `*` for any, "
        "`none` for no CORS headers.",
    )
    sse_ping_interval: float = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="Silence in a stream after which a comment keeps the connection open.",
        json_schema_extra=unit("seconds"),
    )
    drain_timeout: float = Field(
        default=30.0,
        ge=0,
        le=86_400,
        description="Time that running requests have to finish after SIGTERM or Ctrl-C.",
        json_schema_extra=unit("seconds"),
    )

    # Limits of a request
    max_body_bytes: Size = Field(
        default=32 * MIB,
        ge=1024,
        description="Largest request body.",
        json_schema_extra=unit("bytes", "32MiB"),
    )
    max_json_depth: int = Field(
        default=64,
        ge=8,
        le=512,
        description="Deepest nesting of objects and arrays in a request body.",
    )
    max_messages: int = Field(default=4096, ge=1, description="Most messages in one conversation.")
    max_n: int = Field(
        default=32, ge=1, le=1024, description="Most answers to one prompt (`n` and `best_of`)."
    )
    max_embedding_inputs: int = Field(
        default=2048, ge=1, description="Most inputs in one embedding request."
    )
    max_queue: int = Field(
        default=256,
        ge=0,
        description="Sequences that may wait for one model; beyond it callers get 429.",
        json_schema_extra=unit("sequences"),
    )
    queue_timeout: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="Longest wait of a sequence in the queue; after it callers get 503.",
        json_schema_extra=unit("seconds"),
    )

    # Models
    models_dir: UserPath = Field(
        default_factory=_find_models_dir,
        description="Directory searched for `*.gguf` files, subdirectories included.",
        json_schema_extra={"default_text": f"`./models` if it exists, else `{USER_MODELS_DIR}`"},
    )
    manifest: UserPath | None = Field(
        default_factory=_find_manifest,
        description="The `models.yaml` to read.",
        json_schema_extra={"default_text": "`./models.yaml` if it exists"},
    )
    default_model: str | None = Field(
        default=None,
        description="Model that also answers to the name `default` and is preloaded.",
        json_schema_extra={"default_text": "the first that can chat, in the order of the list"},
    )
    preload: Names = Field(
        default=("default",),
        description="Models to load at start, comma separated; `none` loads on first use.",
    )
    max_loaded_models: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Models in memory at once; the least recently used leaves.",
    )
    memory_budget: AutoSize = Field(
        default=None,
        ge=MIB,
        description="Memory that all models together may take: weights, KV caches and buffers; the "
        "GPU's where models are offloaded to it as a whole.",
        json_schema_extra={"unit": "bytes", "default_text": "what is free at the start"},
    )
    keep_alive: Duration = Field(
        default=math.inf,
        description="How long a model stays in memory that nobody uses, such as `300`, `5m` or "
        "`1h30m`; negative: until its place is needed.",
        json_schema_extra=unit("seconds", "-1"),
    )
    warm_after: Duration = Field(
        default=math.inf,
        description="How long a model stays hot that nobody uses, such as `30s` or `5m`: then its "
        "KV cache and buffers are freed and its weights stay; negative: until the memory is "
        "needed.",
        json_schema_extra=unit("seconds", "-1"),
    )
    load_timeout: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="Longest wait of a request for its model to be loaded.",
        json_schema_extra=unit("seconds"),
    )

    try_new_files: bool = Field(
        default=True,
        description="Load a file that was never loaded before in a process of its own first, so "
        "that a damaged one harms nobody.",
    )

    offline: bool = Field(
        default=False, description="Download nothing; `HF_HUB_OFFLINE` means the same."
    )
    pull_http: bool = Field(
        default=False,
        description="Download over plain `http://` too, not only from this machine.",
    )
    pull_sources: Prefixes = Field(
        default=("hf://",),
        description="Where requests may have files downloaded from, as beginnings of sources, "
        "comma separated: `hf://` is the hub, `hf://OWNER/` a part of it, `https://HOST/` a "
        "server, `https://` any, `none` nothing. Short names and what `models.yaml` names may "
        "always be.",
    )
    pull_on_demand: bool = Field(
        default=False,
        description="Download what `models.yaml` names and is not here yet when a request first "
        "asks for it.",
    )
    max_pulls: int = Field(
        default=2,
        ge=1,
        le=16,
        description="Models downloaded at the same time for requests; the others wait.",
        json_schema_extra=unit("models"),
    )

    # The machine
    use_gpu: AutoSwitch = Field(
        default="auto",
        description="`auto`: offload where llama.cpp was built with a GPU backend and finds a "
        "device; `true`: refuse to start without one; `false`: CPU only.",
    )
    gpu_layers: int = Field(
        default=-1, ge=-1, description="Layers to offload to the GPU; -1 for all of them."
    )
    devices: Names = Field(
        default=(),
        description="GPUs to use, comma separated, by the names that the log and `/v1/models` "
        "show, such as `CUDA0`.",
        json_schema_extra={"default_text": "all"},
    )
    split_mode: SplitMode = Field(
        default="layer",
        description="How a model lies on several GPUs: `layer`: whole layers on each; `row`: parts "
        "of each matrix; `none`: all of it on `main_gpu`.",
    )
    main_gpu: int = Field(
        default=0,
        ge=0,
        description="Which of the devices has everything with `split_mode` `none`; the first is 0.",
    )
    tensor_split: Shares = Field(
        default=(),
        description="How much of a model each device gets, comma separated, such as `3,1`.",
        json_schema_extra={"default_text": "by free memory"},
    )
    threads: AutoCount = Field(
        default=None,
        ge=1,
        le=1024,
        description="Threads that generate tokens.",
        json_schema_extra={"default_text": "physical cores this process may use"},
    )
    threads_batch: AutoCount = Field(
        default=None,
        ge=1,
        le=1024,
        description="Threads that read prompts.",
        json_schema_extra={"default_text": "as `threads`"},
    )
    use_mmap: AutoSwitch = Field(
        default="auto",
        description="Map model files into memory instead of reading them; `auto`: but on a CPU "
        "read them into huge pages, where there are such.",
    )
    huge_pages: bool = Field(
        default=True,
        description="Ask Linux for huge pages under weights and caches, where it gives them to "
        "those who ask.",
    )

    # What is stored
    database_url: SecretStr | None = Field(
        default=None,
        description="Where conversations, responses and stored completions are kept: "
        "`sqlite:////path/of/file.db`, `postgresql://user:password@host/database`, or `none`.",
        json_schema_extra={"default_text": "`.corral/conversations.db` in the models directory"},
    )
    conversation_retention: Duration = Field(
        default=math.inf,
        description="How long a conversation is kept after its last change, such as `720h`; "
        "negative: for ever.",
        json_schema_extra=unit("seconds", "-1"),
    )
    response_retention: Duration = Field(
        default=30 * 86_400.0,
        description="How long responses outside conversations, and stored chat completions, are "
        "kept; negative: for ever.",
        json_schema_extra=unit("seconds", "720h"),
    )
    database_bytes: Size = Field(
        default=10 * GIB,
        ge=MIB,
        description="Most that all of it may take; what has not changed for longest leaves.",
        json_schema_extra=unit("bytes", "10GiB"),
    )

    # What is told
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="Form of the log; `auto` is `console` on a terminal, else `json`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least important level that is logged."
    )
    metrics_aliases: bool = Field(
        default=True, description="Serve the `vllm:*` names beside `corral_*` on `/metrics`."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.mixed_step_tokens > self.step_tokens:
            raise ValueError(
                f"mixed_step_tokens ({self.mixed_step_tokens}) must not exceed "
                f"step_tokens ({self.step_tokens})"
            )
        if self.max_sequences > self.step_tokens:
            raise ValueError(
                f"max_sequences ({self.max_sequences}) must not exceed "
                f"step_tokens ({self.step_tokens}): every sequence adds a token to a step"
            )
        return self

    @property
    def is_offline(self) -> bool:
        """Whether nothing may be downloaded, by our variable or the hub library's."""
        said = os.environ.get("HF_HUB_OFFLINE", "").strip().lower()
        return self.offline or said in {"1", "true", "yes", "on"}

    @classmethod
    def read(cls, flags: Mapping[str, object]) -> Self:
        """From the environment, with `flags` over it. Raises ValidationError."""
        settings = cls(**flags)  # pyright: ignore[reportArgumentType]  # pydantic checks them
        settings._flags = frozenset(flags)
        return settings

    def source_of(self, field: str) -> Source:
        """Who decided what this setting is."""
        if field in self._flags:
            return "flag"
        return "environment" if field in self.model_fields_set else "default"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the listener."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")


def variable_of(field: str) -> str:
    """`server_port` -> `LLM_SERVER_PORT`."""
    return ENV_PREFIX + field.upper()


def flag_of(field: str) -> str:
    """`server_port` -> `--server-port`."""
    return "--" + field.replace("_", "-")


def load_settings(flags: Mapping[str, object] | None = None) -> Settings:
    """Settings from the environment with `flags` (field name -> value) over it.

    Raises ConfigurationError with one line per bad value that names the variable or flag.
    """
    given = dict(flags or {})
    try:
        return Settings.read(given)
    except ValidationError as error:
        lines = [_explain(dict(item), given) for item in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None


def find_unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """One warning for every `LLM_*` variable that no setting reads."""
    known = [variable_of(name) for name in Settings.model_fields]
    warnings: list[str] = []
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        warnings.append(f"{name} is not a setting of Corral and has no effect{hint}")
    return warnings


def _explain(item: dict[str, Any], flags: Mapping[str, object]) -> str:
    location: tuple[int | str, ...] = item["loc"]
    message = str(item["msg"]).removeprefix("Value error, ")
    if not location:
        for name in sorted(Settings.model_fields, key=len, reverse=True):
            message = message.replace(f"{name} (", f"{_name_of(name, flags)} (")
        return message
    name = str(location[0])
    if name not in Settings.model_fields:
        return f"{name}: no such setting"
    field = Settings.model_fields[name]
    shown = "" if name in {"api_key", "database_url"} else f"={item.get('input')}"
    return f"{_name_of(name, flags)}{shown}: {_lower_first(message)}. {_meaning(field)}"


def _name_of(name: str, flags: Mapping[str, object]) -> str:
    return flag_of(name) if name in flags else variable_of(name)


def _meaning(field: FieldInfo) -> str:
    return f"It means: {field.description}" if field.description else ""


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
