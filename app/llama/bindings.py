"""The door to the bindings: `lib` is llama_cpp's low-level API, untyped.

The bindings' annotations name ctypes wrappers where calls return plain integers, so a type
checker is better off knowing nothing here; the modules around it give their own types.
"""

import ctypes
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt

from app.core.errors import EngineFailed

Float32Array = npt.NDArray[np.float32]

lib: Any = llama_cpp


def int32_pointer(array: npt.NDArray[np.int32]) -> Any:
    """A C pointer into `array`, which must outlive it."""
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(ctypes.c_int32))


def float_rows(pointer: Any, rows: int, columns: int) -> Float32Array:
    """A writable view of shape (rows, columns) on a buffer that llama.cpp owns.

    Raises EngineFailed for a null pointer.
    """
    return _view(_address_of(pointer), rows, columns)


class RowBuffer:
    """A buffer of rows that llama.cpp owns and hardly ever moves: its view is made once."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._address = 0
        self._view: Float32Array = np.empty((0, columns), np.float32)

    def rows(self, pointer: Any, count: int) -> Float32Array:
        """As `float_rows`."""
        address = _address_of(pointer)
        if address != self._address or count > len(self._view):
            self._address, self._view = address, _view(address, count, self._columns)
        return self._view[:count]


def _address_of(pointer: Any) -> int:
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    if address is None:
        raise EngineFailed("llama.cpp returned no data for the rows that were asked for.")
    return address


def _view(address: int, rows: int, columns: int) -> Float32Array:
    flat: Any = (ctypes.c_float * (rows * columns)).from_address(address)
    return np.frombuffer(flat, np.float32).reshape(rows, columns)
