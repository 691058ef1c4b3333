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
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    if address is None:
        raise EngineFailed("llama.cpp returned no data for the rows that were asked for.")
    flat: Any = (ctypes.c_float * (rows * columns)).from_address(address)
    return np.frombuffer(flat, np.float32).reshape(rows, columns)
