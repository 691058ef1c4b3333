"""A decoding context: the KV cache, the batch and the logits of one engine thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.core.adapters import AdapterSet
from app.core.errors import EngineFailed, ModelLoadFailed
from app.core.memory import MemoryTraits, SavedRange
from app.core.options import KvType
from app.core.requests import SamplingParams
from app.llama.adapters import apply_adapters
from app.llama.batch import Batch
from app.llama.bindings import Float32Array, RowBuffer, lib
from app.llama.dry import DryStages
from app.llama.graph_sampling import GraphSampler, GraphSampling
from app.llama.memory import Memory
from app.llama.model import Model
from app.llama.sampler import ChainSampler

FlashAttention = Literal["auto", "on", "off"]

_KV_TYPES: dict[KvType, int] = {
    "f32": lib.GGML_TYPE_F32,
    "f16": lib.GGML_TYPE_F16,
    "bf16": 30,  # GGML_TYPE_BF16: the bindings do not name it
    "q8_0": lib.GGML_TYPE_Q8_0,
    "q5_1": lib.GGML_TYPE_Q5_1,
    "q5_0": lib.GGML_TYPE_Q5_0,
    "q4_1": lib.GGML_TYPE_Q4_1,
    "q4_0": lib.GGML_TYPE_Q4_0,
}
_FLASH_ATTENTION: dict[FlashAttention, int] = {"auto": -1, "off": 0, "on": 1}

_DECODED = 0
_NO_ROOM = 1


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """`kv_size`: cells shared by all sequences, at least one request's context.

    `batch_tokens`: most tokens of one decode; `ubatch_tokens`: tokens computed at a time.
    `extra_outputs`: rows beyond one per sequence that may ask for logits in one decode.
    Threads: 0 leaves the choice to llama.cpp. `kv_unified`: one cache for all sequences, else each
    has an equal part of it. `swa_full`: keep more than a sliding window needs, so that sequences
    can be cut and shared anywhere. `backend_sampling`: choose tokens inside the compute graph where
    llama.cpp can, for four times the memory of the outputs.
    """

    kv_size: int
    max_sequences: int
    batch_tokens: int = 512
    ubatch_tokens: int = 128
    threads: int = 0
    threads_batch: int = 0
    kv_type: KvType = "f16"
    flash_attention: FlashAttention = "auto"
    extra_outputs: int = 16
    kv_unified: bool = True
    swa_full: bool = False
    backend_sampling: bool = False

    @property
    def max_outputs(self) -> int:
        """Most rows that may ask for logits in one decode."""
        return min(self.max_sequences + self.extra_outputs, self.batch_tokens)

    @property
    def scratch(self) -> int | None:
        """The id of a sequence beyond those of the users, see `llama.memory`."""
        return self.max_sequences if self.kv_unified else None


class LlamaRuntime:
    """Satisfies `engine.runtime.Runtime`. One thread only."""

    def __init__(self, model: Model, options: ContextOptions) -> None:
        """Allocates the KV cache and compute buffers. Raises ModelLoadFailed."""
        self._model = model  # kept alive as long as the context
        self.vocabulary = model.vocabulary
        self.max_sequences = options.max_sequences
        self.max_outputs = options.max_outputs
        self._context: Any = make_context(model, options)
        self.kv_size: int = lib.llama_n_ctx(self._context)
        # a small cache makes it smaller than asked for; beyond it llama.cpp aborts the process
        self.batch_capacity: int = lib.llama_n_batch(self._context)
        self._memory = Memory(
            self._context,
            model.handle,
            scratch=options.scratch,
            keeps_whole_window=options.swa_full,
        )
        self._dry_stages = DryStages(model.vocabulary)
        self._graph: GraphSampling | None = None
        if options.backend_sampling:
            self._graph = GraphSampling(self._context, self.vocabulary.size)
        self.batch = Batch(self.batch_capacity)
        self._logits = RowBuffer(self.vocabulary.size)

    def adapt(self, adapters: AdapterSet) -> None:
        """Decode under these of the model's adapters from now on."""
        apply_adapters(self._context, self._model.adapters, adapters)

    def decode(self, n_tokens: int) -> bool:
        """Run the first `n_tokens` rows; False when the KV cache has no room for them."""
        status = lib.llama_decode(self._context, self.batch.prepared(n_tokens))
        if status == _DECODED:
            # waits for an asynchronous backend here, so that its time counts as decoding
            lib.llama_synchronize(self._context)
            return True
        if status == _NO_ROOM:
            return False
        raise EngineFailed(f"llama.cpp failed to decode a batch of {n_tokens} (status {status}).")

    def logits(self, n_rows: int) -> Float32Array:
        """Writable view of shape (n_rows, vocabulary size) on llama.cpp's own buffer."""
        return self._logits.rows(lib.llama_get_logits(self._context), n_rows)

    @property
    def memory(self) -> MemoryTraits:
        return self._memory.traits

    def remove(self, sequence: int, start: int, end: int) -> None:
        self._memory.remove(sequence, start, end)

    def shortest(self, sequence: int, length: int) -> int:
        return self._memory.shortest(sequence, length)

    def share(self, source: int, target: int, end: int) -> None:
        self._memory.share(source, target, end)

    def save(self, sequence: int, start: int) -> memoryview:
        return self._memory.save(sequence, start)

    def restore(self, sequence: int, ranges: Sequence[SavedRange], have: int = 0) -> bool:
        return self._memory.restore(sequence, ranges, have)

    def make_sampler(self, params: SamplingParams, prompt: Sequence[int]) -> ChainSampler:
        return ChainSampler(
            params,
            prompt,
            dry_stages=self._dry_stages,
            vocabulary_size=self.vocabulary.size,
            context_size=self.kv_size,
        )

    def make_graph_sampler(self, params: SamplingParams) -> GraphSampler | None:
        """None when this sampling must be done on the logits."""
        return self._graph.make(params) if self._graph is not None else None

    def seat(self, slot: int, sampler: object) -> None:
        """Tell the compute graph who samples the sequence that is in `slot` from now on."""
        if self._graph is not None:
            self._graph.seat(slot, sampler if isinstance(sampler, GraphSampler) else None)

    def close(self) -> None:
        """Free the context; idempotent. The model stays."""
        if self._context:
            self._dry_stages.close()
            lib.llama_free(self._context)
            if self._graph is not None:
                self._graph.close()
            self._context = None


def make_context(model: Model, options: ContextOptions) -> Any:
    """A bare llama.cpp context. Raises ModelLoadFailed."""
    context = lib.llama_init_from_model(model.handle, _context_params(options))
    if not context:
        raise ModelLoadFailed(
            f"llama.cpp cannot make a context of {options.kv_size} tokens: its log lines "
            f"say why; a smaller LLM_KV_SIZE needs less memory."
        )
    return context


def _context_params(options: ContextOptions) -> Any:
    params = lib.llama_context_default_params()
    params.n_ctx = options.kv_size
    params.n_batch = options.batch_tokens
    params.n_ubatch = min(options.ubatch_tokens, options.batch_tokens)
    n_sequences = options.max_sequences + (options.scratch is not None)
    params.n_seq_max = n_sequences
    # below the number of sequences llama.cpp aborts the process; its default is n_batch rows of
    # logits, hundreds of megabytes with a large vocabulary
    params.n_outputs_max = max(options.max_outputs, n_sequences)
    if options.backend_sampling:
        # as many as there are: a sequence with guesses has several
        params.n_outputs_max_per_seq = 0
    if options.threads:
        params.n_threads = options.threads
    if options.threads_batch or options.threads:
        params.n_threads_batch = options.threads_batch or options.threads
    params.kv_unified = options.kv_unified
    params.swa_full = options.swa_full
    params.type_k = params.type_v = _KV_TYPES[options.kv_type]
    params.flash_attn_type = _FLASH_ATTENTION[options.flash_attention]
    params.no_perf = True
    return params
