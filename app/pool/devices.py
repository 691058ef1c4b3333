"""On which devices a model computes, and each of its replicas."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from app.catalog.entries import ModelEntry
from app.config.hardware import has_huge_pages
from app.config.manifest import Manifest
from app.config.settings import Settings
from app.core.errors import ConfigurationError
from app.llama import library
from app.llama.model import ModelOptions

KEYS = ("devices", "split_mode", "main_gpu", "tensor_split")
"""Settings, and keys of the manifest, that speak of GPUs."""


def gpu_layers(settings: Settings, entry: ModelEntry) -> int:
    if settings.use_gpu == "off":
        return 0
    return entry.gpu_layers if entry.gpu_layers is not None else settings.gpu_layers


def uses_gpu(settings: Settings, entry: ModelEntry) -> bool:
    return library.has_gpu() and gpu_layers(settings, entry) != 0


def maps_file(settings: Settings, entry: ModelEntry) -> bool:
    """Whether the weights that the processor uses stay in the file, in the small pages it has in
    the system's cache."""
    if settings.use_mmap == "auto":
        return uses_gpu(settings, entry) or not has_huge_pages()
    return settings.use_mmap == "on"


def model_options(settings: Settings, entry: ModelEntry) -> tuple[ModelOptions, ...]:
    """How each replica's weights are loaded; those with the same options share them."""
    layers = gpu_layers(settings, entry)
    # an encoder has no engine, and one embedder
    is_encoder = entry.header is not None and not entry.header.is_generator
    replicas = 1 if is_encoder else entry.replicas
    use_mmap = maps_file(settings, entry)
    if not uses_gpu(settings, entry):
        return (ModelOptions(layers, use_mmap),) * replicas
    wanted = tuple(entry.devices or settings.devices)
    shares = [wanted] if replicas == 1 else deal(wanted or _usual_gpus(), replicas)
    return tuple(
        ModelOptions(
            layers,
            use_mmap,
            devices=devices,
            split_mode=entry.split_mode or settings.split_mode,
            main_gpu=_main_gpu(settings, entry),
            tensor_split=_tensor_split(settings, entry),
        )
        for devices in shares
    )


def draft_options(settings: Settings, draft: ModelEntry, target: ModelOptions) -> ModelOptions:
    """A draft computes where its model does, on the first device of it."""
    return ModelOptions(
        gpu_layers(settings, draft),
        maps_file(settings, draft),
        devices=target.devices,
        split_mode="none",
    )


def _usual_gpus() -> tuple[str, ...]:
    """Those that llama.cpp takes by itself: one inside of the processor only where there is no
    other."""
    found = [device for device in library.devices() if device.is_gpu]
    own = [device for device in found if device.kind == "gpu"]
    return tuple(device.name for device in own or found)


def deal(devices: Sequence[str], replicas: int) -> tuple[tuple[str, ...], ...]:
    """The devices of each replica: as many for each where there are enough, the first ones one
    more where they do not come out even; else they take turns."""
    if len(devices) < replicas:
        return tuple((devices[index % len(devices)],) for index in range(replicas))
    each, more = divmod(len(devices), replicas)
    starts = [index * each + min(index, more) for index in range(replicas + 1)]
    return tuple(tuple(devices[a:b]) for a, b in pairwise(starts))


def check_devices(settings: Settings, manifest: Manifest, catalog: Sequence[ModelEntry]) -> None:
    """Raises ConfigurationError where settings or the manifest speak of devices that are not there.

    With `LLM_USE_GPU=false` nobody computes on them, and nothing is checked.
    """
    if settings.use_gpu == "off":
        return
    known = [d.name for d in library.devices() if d.is_gpu] if library.has_gpu() else []
    mistakes: dict[str, None] = {}
    for index, entry in enumerate(catalog):
        for key, problem in _find_mistakes(settings, entry, known):
            place = f"LLM_{key.upper()}"
            if getattr(entry, key) is not None:
                is_named = index < len(manifest.models)
                place = manifest.locate(*(("models", index) if is_named else ("defaults",)), key)
            mistakes[f"{place}: {problem}"] = None
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))


def _find_mistakes(
    settings: Settings, entry: ModelEntry, known: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Keys, and what is wrong with each. `known`: the GPUs that there are."""
    said = [key for key in KEYS if getattr(entry, key) is not None]
    said += [key for key in KEYS if key in settings.model_fields_set and key not in said]
    if not known:
        yield from ((key, "there is no GPU: llama.cpp computes on the CPU only") for key in said)
        return
    wanted = entry.devices or settings.devices
    for name in wanted:
        if name not in known:
            yield "devices", f"there is no device {name}; known: {', '.join(known)}"
        elif wanted.count(name) > 1:
            yield "devices", f"{name} is named twice"
    parts = _tensor_split(settings, entry)
    main = _main_gpu(settings, entry)
    for devices in set(deal(wanted or _usual_gpus(), entry.replicas)):
        each = f"{len(devices)} devices" + (" for each replica" if entry.replicas > 1 else "")
        if parts and len(parts) != len(devices):
            yield "tensor_split", f"{len(parts)} numbers for {each}"
        if main >= len(devices):
            yield "main_gpu", f"there is no number {main} among {each}; the first is 0"
    if parts and not any(parts):
        yield "tensor_split", "one number at least must be above 0"


def _main_gpu(settings: Settings, entry: ModelEntry) -> int:
    return settings.main_gpu if entry.main_gpu is None else entry.main_gpu


def _tensor_split(settings: Settings, entry: ModelEntry) -> tuple[float, ...]:
    return settings.tensor_split if entry.tensor_split is None else entry.tensor_split
