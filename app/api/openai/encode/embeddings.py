"""Embeddings, as numbers or as base64 of little-endian float32."""

import base64
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from app.services.embeddings import Embeddings


def encode_embeddings(result: Embeddings, *, is_base64: bool) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(vector, is_base64)}
        for index, vector in enumerate(result.vectors)
    ]
    usage = {"prompt_tokens": result.prompt_tokens, "total_tokens": result.prompt_tokens}
    body = {"object": "list", "data": data, "model": result.model.id, "usage": usage}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _encode(vector: npt.NDArray[np.float32], is_base64: bool) -> Any:
    if is_base64:
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return np.ascontiguousarray(vector)
