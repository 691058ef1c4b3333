"""llama.cpp: how it was built, and what it computes on."""

from collections.abc import Iterator
from pathlib import Path

from app.cli.doctor.finding import Finding, fail, ok, warn
from app.cli.table import write_size
from app.config.settings import Settings
from app.llama import library

_CPUINFO = Path("/proc/cpuinfo")
# what makes llama.cpp's kernels fast: its name of a flag -> that of the processor
_FAST = {
    "AVX": "avx",
    "AVX2": "avx2",
    "FMA": "fma",
    "F16C": "f16c",
    "AVX512": "avx512f",
    "AVX512_VNNI": "avx512_vnni",
    "AVX_VNNI": "avx_vnni",
}
_REBUILD = "rebuild llama.cpp on this machine: `make clean environment`"
# what is there where a graphics card's driver is, and the flag that builds for it
_DRIVERS = {
    Path("/proc/driver/nvidia/version"): ("an NVIDIA GPU", "CMAKE_ARGS=-DGGML_CUDA=on"),
    Path("/dev/kfd"): ("an AMD GPU", "CMAKE_ARGS=-DGGML_HIP=on"),
}


def check_build(settings: Settings) -> Iterator[Finding]:
    flags = library.build_flags()
    yield ok("llama.cpp", f"{library.build_number()}: {', '.join(flags)}")
    missing = _find_missing(set(flags), _read_processor())
    if missing:
        text = f"the processor has {', '.join(missing)}, and this build does not use it"
        yield warn("llama.cpp", text, _REBUILD)
    yield from _check_devices(settings)


def _check_devices(settings: Settings) -> Iterator[Finding]:
    devices = library.devices()
    for device in devices:
        memory = f", {write_size(device.memory_free)} of {write_size(device.memory_total)} free"
        shown = memory if device.is_gpu else ""
        yield ok("device", f"{device.name}: {device.description}{shown}")
    has_gpu = library.has_gpu()
    if settings.use_gpu == "on" and not has_gpu:
        text = "LLM_USE_GPU is on, and llama.cpp finds no GPU"
        yield fail("device", text, "rebuild it for the GPU (README), or set LLM_USE_GPU=auto")
    if has_gpu and settings.use_gpu == "off":
        yield warn("device", "there is a GPU that is not used", "unset LLM_USE_GPU")
    if not has_gpu:
        for driver, (name, flag) in _DRIVERS.items():
            if driver.exists():
                text = f"this machine has {name}, and llama.cpp was built without it"
                yield warn("device", text, f"rebuild: `{flag} make serve`")


def _find_missing(flags: set[str], processor: set[str]) -> list[str]:
    """What the processor could do. Nothing where the build has no such flags at all: another
    kind of processor."""
    if not flags & set(_FAST):
        return []
    return [name for name, flag in _FAST.items() if flag in processor and name not in flags]


def _read_processor() -> set[str]:
    """The flags of the processor; empty where the system does not tell."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
