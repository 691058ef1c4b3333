"""How much memory models may take together."""

from app.config.hardware import free_memory
from app.config.settings import Settings
from app.llama import library

_SHARE = 0.9  # of what is free; the rest is for requests, and for everybody else


def decide_budget(settings: Settings) -> int:
    """Bytes. By default what is free now: on the GPUs where models are offloaded as a whole, there
    and in main memory where some layers stay behind, else in main memory, which the prefix cache
    shares but never takes more than half of.
    """
    if settings.memory_budget is not None:
        return settings.memory_budget
    gpus = [device for device in library.devices() if device.is_gpu]
    free_on_gpus = sum(gpu.memory_free for gpu in gpus) if library.has_gpu() else 0
    if not free_on_gpus or settings.use_gpu == "off" or settings.gpu_layers == 0:
        return _share_of_main(settings)
    is_whole = settings.gpu_layers < 0
    return int(free_on_gpus * _SHARE) + (0 if is_whole else _share_of_main(settings))


def _share_of_main(settings: Settings) -> int:
    free = int(free_memory() * _SHARE)
    return max(free - settings.prefix_cache_bytes, free // 2)
