"""Settings that are wrong, unknown, or do not go together; whether a server would start."""

import os
import shutil
from collections.abc import Iterator

from app.cli.doctor.finding import Finding, fail, ok, warn
from app.cli.table import write_size
from app.config.hardware import free_memory
from app.config.settings import ENV_PREFIX, Settings, find_unknown_variables, load_settings
from app.core.errors import ConfigurationError

_TOPIC = "settings"


def check_settings() -> tuple[Settings, list[Finding]]:
    """The settings, or the default ones where they are wrong, and what is to be said of them."""
    found: list[Finding] = []
    try:
        settings = load_settings()
    except ConfigurationError as error:
        fix = "correct it, or unset it"
        found += [fail(_TOPIC, line, fix) for line in error.message.splitlines()]
        settings = Settings.model_construct()
    for text in find_unknown_variables(os.environ):
        found.append(warn(_TOPIC, text, "unset it, or write the name that is meant"))
    found += _find_contradictions(settings)
    if not found:
        names = sorted(name for name in os.environ if name.startswith(ENV_PREFIX))
        found.append(ok(_TOPIC, f"{', '.join(names)} set" if names else "all are the default ones"))
    return settings, found


def _find_contradictions(settings: Settings) -> Iterator[Finding]:
    if not settings.is_local and settings.api_key is None and settings.api_keys_file is None:
        text = f"LLM_HOST={settings.host} without a key: whoever reaches it can use every model"
        yield warn(_TOPIC, text, "set LLM_API_KEY, or LLM_HOST=127.0.0.1")
    if settings.use_gpu == "off" and settings.gpu_layers > 0:
        text = f"LLM_GPU_LAYERS={settings.gpu_layers} has no effect: LLM_USE_GPU is off"
        yield warn(_TOPIC, text, "unset one of them")
    kv, context = settings.kv_size, settings.context_size
    if kv is not None and context is not None and kv < context:
        text = f"LLM_CONTEXT_SIZE={context} cannot be used up: LLM_KV_SIZE is {kv}"
        yield warn(_TOPIC, text, "set LLM_KV_SIZE at least as large")
    if settings.prefix_cache_bytes > free_memory() // 2:
        text = f"LLM_PREFIX_CACHE_BYTES ({write_size(settings.prefix_cache_bytes)}) is more than"
        yield warn(_TOPIC, f"{text} half of the free memory", "set a smaller one")
    if settings.speculation == "mtp":
        text = "LLM_SPECULATION=mtp has no effect: the bindings do not reach such layers"
        yield warn(_TOPIC, text, "set LLM_SPECULATION=ngram or off")
    yield from _check_disk_cache(settings)


def _check_disk_cache(settings: Settings) -> Iterator[Finding]:
    folder = settings.prefix_cache_dir
    if folder is None or not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free
    if settings.prefix_cache_disk_bytes > free:
        text = f"LLM_PREFIX_CACHE_DISK_BYTES ({write_size(settings.prefix_cache_disk_bytes)})"
        yield warn(
            _TOPIC,
            f"{text} is more than the {write_size(free)} free in {folder}",
            "set a smaller one, or another LLM_PREFIX_CACHE_DIR",
        )


def check_start(settings: Settings) -> Iterator[Finding]:
    """Whether `corral serve` would start, up to the loading of a model: what it checks is checked,
    the manifest too, with line and key."""
    from app.wiring import build_service  # noqa: PLC0415  # llama.cpp and all: a second

    try:
        build_service(settings)
    except ConfigurationError as error:
        for line in error.message.splitlines():
            yield fail("serve", line, "correct it: `corral serve` does not start like this")
    else:
        told = f"with {settings.manifest}" if settings.manifest else "without a models.yaml"
        yield ok("serve", f"would start {told}")
