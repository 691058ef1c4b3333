"""How much memory models may take together."""

from app.config.hardware import free_memory
from app.config.settings import Settings
from app.llama import library
from app.pool.room import Room

_SHARE = 0.9  # of what is free; the rest is for requests, and for everybody else


def decide_limit(settings: Settings) -> Room:
    """What all models together may take, and on each GPU that they are offloaded to."""
    on_gpus = {gpu.name: int(gpu.memory_free * _SHARE) for gpu in _gpus(settings)}
    return Room(settings.max_loaded_models, decide_budget(settings), on_gpus)


def decide_budget(settings: Settings) -> int:
    """Bytes. By default what is free now: on the GPUs where models are offloaded as a whole, there
    and in main memory where some layers stay behind, else in main memory, which the prefix cache
    shares but never takes more than half of.
    """
    if settings.memory_budget is not None:
        return settings.memory_budget
    free_on_gpus = sum(gpu.memory_free for gpu in _gpus(settings))
    if not free_on_gpus:
        return _share_of_main(settings)
    is_whole = settings.gpu_layers < 0
    return int(free_on_gpus * _SHARE) + (0 if is_whole else _share_of_main(settings))


def _gpus(settings: Settings) -> list[library.Device]:
    """Those that models are offloaded to."""
    if not library.has_gpu() or settings.use_gpu == "off" or settings.gpu_layers == 0:
        return []
    wanted = settings.devices
    return [d for d in library.devices() if d.is_gpu and (not wanted or d.name in wanted)]


def _share_of_main(settings: Settings) -> int:
    free = int(free_memory() * _SHARE)
    return max(free - settings.prefix_cache_bytes, free // 2)
