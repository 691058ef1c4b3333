"""The llama.cpp library itself: start-up, log output, build and devices."""

import ctypes
import functools
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from llama_cpp._ggml import libggml as _libggml  # pyright: ignore[reportUnknownVariableType]

from app.core.errors import ModelLoadFailed
from app.llama.bindings import lib

libggml: Any = _libggml

LogLevel = Literal["debug", "info", "warning", "error"]
LogSink = Callable[[LogLevel, str], None]

_LEVELS: dict[int, LogLevel] = {1: "debug", 2: "info", 3: "warning", 4: "error"}
_CONTINUATION = 5
_KINDS = {0: "cpu", 1: "gpu", 2: "igpu", 3: "accelerator"}

_init_lock = threading.Lock()


class _Listening(threading.local):
    """Who listens to llama.cpp's lines of this thread."""

    lines: list[str] | None = None
    is_quiet = False


_listening = _Listening()


@dataclass(frozen=True, slots=True)
class Device:
    """A device llama.cpp can compute on; memory in bytes."""

    name: str
    description: str
    kind: str
    memory_free: int
    memory_total: int

    @property
    def is_gpu(self) -> bool:
        return self.kind in ("gpu", "igpu")


class _LogRelay:
    """Joins llama.cpp's partial lines and hands whole ones to a sink."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink
        self._level: LogLevel = "info"
        self._partial = ""
        # ctypes keeps no reference to a callback: it must live as long as the library uses it
        self.callback = lib.llama_log_callback(self._receive)

    def _receive(self, level: int, text: bytes, _user_data: Any) -> None:
        if level != _CONTINUATION:
            self._level = _LEVELS.get(level, "info")
        *lines, self._partial = (self._partial + text.decode("utf-8", "replace")).split("\n")
        for line in lines:
            if _listening.lines is not None:
                _listening.lines.append(line)
            if line.strip(" .") and not _listening.is_quiet:
                self._sink(self._level, line.rstrip())


@functools.cache
def _start_backend() -> None:
    lib.llama_backend_init()


@functools.cache
def _relays() -> list[_LogRelay]:
    return []


def init(log_sink: LogSink) -> None:
    """Start llama.cpp once per process and send its log lines to `log_sink`.

    The library has one log callback per process, so the latest sink gets everything.
    """
    with _init_lock:
        relay = _LogRelay(log_sink)
        _relays().append(relay)
        lib.llama_log_set(relay.callback, ctypes.c_void_p())
        _start_backend()


@contextmanager
def listen(*, is_quiet: bool = False) -> Generator[list[str]]:
    """The lines that llama.cpp logs on this thread, as they come. `is_quiet`: nobody else gets
    them."""
    before = _listening.lines, _listening.is_quiet
    lines: list[str] = []
    _listening.lines, _listening.is_quiet = lines, is_quiet
    try:
        yield lines
    finally:
        _listening.lines, _listening.is_quiet = before


def build_number() -> str:
    """A short name of the llama.cpp build, starting with "b" as llama.cpp's own does."""
    return f"b{lib.__version__}-ggml{_ggml_text('ggml_version')}"


def build_flags() -> tuple[str, ...]:
    """What this build of llama.cpp uses: instruction sets, and features of its backends."""
    parts = lib.llama_print_system_info().decode().replace(" : ", " | ").split(" | ")
    names = (part.strip().partition(" = ") for part in parts)
    return tuple(name for name, _, value in names if value and value != "0")


def _ggml_text(function: str) -> str:
    call = getattr(libggml, function)
    call.restype = ctypes.c_char_p
    return call().decode()


@functools.cache
def _device_api() -> Any:
    ggml = libggml
    pointer = ctypes.c_void_p
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.restype, ggml.ggml_backend_dev_get.argtypes = (
        pointer,
        [ctypes.c_size_t],
    )
    for name in ("ggml_backend_dev_name", "ggml_backend_dev_description"):
        function = getattr(ggml, name)
        function.restype, function.argtypes = ctypes.c_char_p, [pointer]
    ggml.ggml_backend_dev_type.restype = ctypes.c_int
    ggml.ggml_backend_dev_type.argtypes = [pointer]
    ggml.ggml_backend_dev_memory.restype = None
    ggml.ggml_backend_dev_memory.argtypes = [pointer] + [ctypes.POINTER(ctypes.c_size_t)] * 2
    return ggml


def devices() -> tuple[Device, ...]:
    """Every device of this build, CPU included, in llama.cpp's order of preference."""
    ggml = _device_api()
    found: list[Device] = []
    for index in range(ggml.ggml_backend_dev_count()):
        handle = ggml.ggml_backend_dev_get(index)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        ggml.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
        found.append(
            Device(
                name=ggml.ggml_backend_dev_name(handle).decode(),
                description=ggml.ggml_backend_dev_description(handle).decode().strip(),
                kind=_KINDS.get(ggml.ggml_backend_dev_type(handle), "other"),
                memory_free=free.value,
                memory_total=total.value,
            )
        )
    return tuple(found)


def find_devices(names: Sequence[str]) -> Any:
    """llama.cpp's own handles of the devices of these names, ended by NULL. Raises ModelLoadFailed
    for one that is not there."""
    ggml = _device_api()
    handles = {
        ggml.ggml_backend_dev_name(handle).decode(): handle
        for handle in map(ggml.ggml_backend_dev_get, range(ggml.ggml_backend_dev_count()))
    }
    if missing := [name for name in names if name not in handles]:
        raise ModelLoadFailed(f"There is no device {missing[0]}; there is {', '.join(handles)}.")
    return (ctypes.c_void_p * (len(names) + 1))(*(handles[name] for name in names), None)


def has_gpu() -> bool:
    """Whether this build of llama.cpp can offload and a GPU is present."""
    return bool(lib.llama_supports_gpu_offload()) and any(d.is_gpu for d in devices())
