"""A model's weights in memory."""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from app.core.errors import ModelLoadFailed
from app.core.options import Pooling, SplitMode
from app.llama.adapters import load_adapter
from app.llama.bindings import lib
from app.llama.library import devices, find_devices, has_gpu
from app.llama.vocabulary import Vocabulary

# GGUF keys of recommended sampling, and the names they have here
_SAMPLING_KEYS = {
    "general.sampling.temp": "temperature",
    "general.sampling.top_k": "top_k",
    "general.sampling.top_p": "top_p",
    "general.sampling.min_p": "min_p",
    "general.sampling.penalty_repeat": "repeat_penalty",
    "general.sampling.penalty_last_n": "repeat_last_n",
    "general.sampling.xtc_probability": "xtc_probability",
    "general.sampling.xtc_threshold": "xtc_threshold",
    "general.sampling.mirostat": "mirostat",
    "general.sampling.mirostat_tau": "mirostat_tau",
    "general.sampling.mirostat_eta": "mirostat_eta",
}
# values of `<architecture>.pooling_type`
_POOLING: dict[str, Pooling] = {
    str(lib.LLAMA_POOLING_TYPE_MEAN): "mean",
    str(lib.LLAMA_POOLING_TYPE_CLS): "cls",
    str(lib.LLAMA_POOLING_TYPE_LAST): "last",
}
_SPLIT_MODES: dict[SplitMode, int] = {
    "layer": lib.LLAMA_SPLIT_MODE_LAYER,
    "row": lib.LLAMA_SPLIT_MODE_ROW,
    "none": lib.LLAMA_SPLIT_MODE_NONE,
}
_RANK = str(lib.LLAMA_POOLING_TYPE_RANK)
_WHOLE_NUMBERS = {"top_k", "repeat_last_n", "mirostat"}


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """`gpu_layers`: layers to offload, -1 for all; without a GPU everything stays on the CPU.
    `repack`: copy weights into the order that the processor likes best.
    `devices`: names of the GPUs to use, none for all. `tensor_split`: how much each of them gets,
    in any unit; none leaves it to llama.cpp. `main_gpu`: the one of them that has everything where
    `split_mode` is "none".
    """

    gpu_layers: int = -1
    use_mmap: bool = True
    is_simulated: bool = False
    repack: bool = True
    devices: tuple[str, ...] = ()
    split_mode: SplitMode = "layer"
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()


class Model:
    """Weights and vocabulary, and adapters by name. `close()` frees them: every context must be
    closed before."""

    def __init__(self, handle: Any, options: ModelOptions) -> None:
        self.handle = handle
        self.adapters: dict[str, Any] = {}
        self.vocabulary = Vocabulary(lib.llama_model_get_vocab(handle))
        self.metadata = _read_metadata(handle)
        self.architecture = self.metadata.get("general.architecture", "unknown")
        self.context_trained: int = lib.llama_model_n_ctx_train(handle)
        self.embedding_size: int = lib.llama_model_n_embd_out(handle)
        self.layers: int = lib.llama_model_n_layer(handle)
        self.parameters: int = lib.llama_model_n_params(handle)
        self.size: int = lib.llama_model_size(handle)
        self.has_encoder = bool(lib.llama_model_has_encoder(handle))
        self.has_decoder = bool(lib.llama_model_has_decoder(handle))
        # absent means causal; encoders such as BERT declare false
        self.is_causal = self._metadata_of("attention.causal") != "false"
        self.description = _read_text(lib.llama_model_desc, handle)
        self.gpu_layers_offloaded, self.device = _placement(options, self.layers)

    @classmethod
    def load(
        cls,
        path: Path,
        options: ModelOptions,
        progress: Callable[[float], bool | None] | None = None,
    ) -> Self:
        """Read a GGUF file; `progress` receives the share done, 0.0 to 1.0, and False stops it.

        Blocks for as long as the disk needs. Raises ModelLoadFailed.
        """

        is_stopped = False

        def on_progress(share: float, _user_data: Any) -> bool:
            nonlocal is_stopped
            is_stopped = progress is not None and progress(share) is False
            return not is_stopped

        params = lib.llama_model_default_params()
        params.n_gpu_layers = options.gpu_layers if has_gpu() else 0
        maps_file = options.use_mmap and not options.is_simulated
        params.load_mode = lib.LLAMA_LOAD_MODE_AUTO if maps_file else lib.LLAMA_LOAD_MODE_NONE
        params.no_alloc = options.is_simulated
        params.use_extra_bufts = options.repack
        params.split_mode, params.main_gpu = _SPLIT_MODES[options.split_mode], options.main_gpu
        chosen = find_devices(options.devices) if options.devices else None
        params.devices = ctypes.cast(chosen, ctypes.c_void_p) if chosen is not None else None
        parts = (ctypes.c_float * lib.LLAMA_MAX_DEVICES)(*options.tensor_split)
        if options.tensor_split:
            params.tensor_split = parts
        callback = lib.llama_progress_callback(on_progress)
        params.progress_callback = callback
        handle = lib.llama_model_load_from_file(str(path).encode(), params)
        if not handle and is_stopped:
            raise ModelLoadFailed(f"Loading {path.name} was stopped.")
        if not handle:
            raise ModelLoadFailed(f"llama.cpp cannot load {path.name}; its log lines say why.")
        return cls(handle, options)

    def load_adapter(self, name: str, path: Path) -> None:
        """Have an adapter for the contexts made afterwards, as part of the model's size. Raises
        ModelLoadFailed."""
        try:
            self.adapters[name] = load_adapter(self.handle, path)
        except ModelLoadFailed as error:
            raise ModelLoadFailed(
                f"The adapter {path.name} cannot be loaded: {error.message}."
            ) from None
        self.size += path.stat().st_size

    @property
    def sampling_defaults(self) -> dict[str, float]:
        """The sampling that the file itself recommends, by our names; what is no number there
        recommends nothing."""
        found: dict[str, float] = {}
        for key, name in _SAMPLING_KEYS.items():
            with suppress(KeyError, ValueError):
                text = self.metadata[key]
                found[name] = int(text) if name in _WHOLE_NUMBERS else float(text)
        return found

    @property
    def pooling(self) -> Pooling | None:
        """How the file says that token vectors become one; None where it says nothing."""
        value = self._metadata_of("pooling_type")
        return _POOLING.get(value) if value is not None else None

    @property
    def is_reranker(self) -> bool:
        """Whether the model scores pairs instead of embedding."""
        return self._metadata_of("pooling_type") == _RANK

    @property
    def rank_template(self) -> str | None:
        """The text of a pair, with `{query}` and `{document}` in it, where the file has one."""
        return self.metadata.get("tokenizer.chat_template.rerank")

    @property
    def is_generator(self) -> bool:
        """Whether the model writes text."""
        return self.has_decoder and self.is_causal and not self.is_reranker

    def _metadata_of(self, key: str) -> str | None:
        """The value of an architecture's own key, as text."""
        return self.metadata.get(f"{self.architecture}.{key}")

    def close(self) -> None:
        """Free the weights; idempotent."""
        if self.handle:
            lib.llama_model_free(self.handle)
            self.handle = None


def _placement(options: ModelOptions, layers: int) -> tuple[int, str]:
    """How many layers were offloaded, and the name of the device that computes."""
    if not has_gpu() or options.gpu_layers == 0:
        return 0, "CPU"
    # llama.cpp counts the output layer as one more
    offloaded = layers + 1 if options.gpu_layers < 0 else min(options.gpu_layers, layers + 1)
    wanted = options.devices
    gpus = [d for d in devices() if d.name in wanted or (d.is_gpu and not wanted)]
    return offloaded, ", ".join(f"{d.name} ({d.description})" for d in gpus)


def _read_text(function: Any, *args: Any) -> str:
    """Call a llama.cpp getter that writes into a buffer and returns the length it needs."""
    size = 256
    while True:
        buffer = ctypes.create_string_buffer(size)
        needed = function(*args, buffer, size)
        if needed < size:
            return buffer.value.decode("utf-8", "replace") if needed > 0 else ""
        size = needed + 1


def _read_metadata(handle: Any) -> dict[str, str]:
    return {
        _read_text(lib.llama_model_meta_key_by_index, handle, index): _read_text(
            lib.llama_model_meta_val_str_by_index, handle, index
        )
        for index in range(lib.llama_model_meta_count(handle))
    }
