"""From settings and the manifest to the options of a model's context and engine."""

from contextlib import ExitStack

from app.catalog.entries import ModelEntry
from app.config.settings import Settings
from app.core.errors import ModelLoadFailed
from app.engine.messages import EngineConfig
from app.llama import library
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.embedding import EmbeddingOptions
from app.llama.footprint import estimate
from app.llama.model import Model, ModelOptions
from app.pool.describe import decide_sizes

_UBATCH_CPU, _UBATCH_GPU = 128, 512
# a row of logits is as large as the vocabulary: half a megabyte and more
_MOST_GUESSES = 48
_PROMPT_ROWS = 16


def gpu_layers(settings: Settings, entry: ModelEntry) -> int:
    if settings.use_gpu == "off":
        return 0
    return entry.gpu_layers if entry.gpu_layers is not None else settings.gpu_layers


def _uses_gpu(settings: Settings, entry: ModelEntry) -> bool:
    return library.has_gpu() and gpu_layers(settings, entry) != 0


def context_options(settings: Settings, entry: ModelEntry, threads: int) -> ContextOptions:
    n_sequences = entry.max_sequences or settings.max_sequences
    guesses = min(n_sequences * (entry.draft_tokens or settings.draft_tokens), _MOST_GUESSES)
    uses_gpu = _uses_gpu(settings, entry)
    return ContextOptions(
        kv_size=decide_sizes(entry, settings).kv,
        max_sequences=n_sequences,
        # beside the prompts, a decode holds a token of every sequence and its guesses
        batch_tokens=max(settings.step_tokens, settings.mixed_step_tokens) + n_sequences + guesses,
        ubatch_tokens=settings.ubatch_tokens or (_UBATCH_GPU if uses_gpu else _UBATCH_CPU),
        threads=threads,
        threads_batch=settings.threads_batch or threads,
        kv_type=settings.kv_type,
        flash_attention=settings.flash_attention,
        backend_sampling=settings.backend_sampling == "on"
        or (settings.backend_sampling == "auto" and uses_gpu),
        extra_outputs=guesses + _PROMPT_ROWS,
        kv_unified=settings.kv_unified,
        swa_full=settings.swa_full,
    )


def embedding_options(settings: Settings, entry: ModelEntry, threads: int) -> EmbeddingOptions:
    return EmbeddingOptions(decide_sizes(entry, settings).embedding, threads, entry.pooling)


def estimate_memory(settings: Settings, entry: ModelEntry, threads: int) -> int:
    """Bytes that a model and its draft will take, before anybody embeds with a chat model.

    The file's size where llama.cpp cannot say: then it will not load it either. Blocks for as long
    as reading the vocabulary takes.
    """
    embedding = embedding_options(settings, entry, threads) if entry.serves_embeddings else None
    context = context_options(settings, entry, threads)
    models = [entry] if entry.draft is None else [entry, entry.draft]
    try:
        return sum(
            estimate(one.path, ModelOptions(gpu_layers(settings, one)), context, embedding)
            for one in models
        )
    except ModelLoadFailed:
        return sum(one.size for one in models)


def engine_config(settings: Settings, entry: ModelEntry) -> EngineConfig:
    return EngineConfig(
        max_queue=settings.max_queue,
        mixed_step_tokens=settings.mixed_step_tokens,
        # a GPU reads the weights once for both; it has no tiles that lose by it
        mixes_steps=_uses_gpu(settings, entry),
        step_tokens=settings.step_tokens,
        step_seconds=settings.step_latency / 1000,
        speculation=entry.speculation or settings.speculation,
        draft_tokens=entry.draft_tokens or settings.draft_tokens,
        name=entry.id,
    )


def state_key(settings: Settings, entry: ModelEntry) -> str:
    """Names what the bytes of a saved state depend on."""
    file = entry.path.stat()
    identity = (str(entry.path.resolve()), file.st_size, file.st_mtime_ns)
    streams = 1 if settings.kv_unified else entry.max_sequences or settings.max_sequences
    layout = (settings.kv_type, settings.flash_attention, settings.swa_full, streams)
    return f"{identity}, {layout}, {library.build_number()}"


def load_draft(settings: Settings, entry: ModelEntry, target: Model, threads: int) -> LlamaRuntime:
    """A context of the entry's draft model, which frees the model with itself.

    Raises ModelLoadFailed where it cannot guess for `target`.
    """
    draft = entry.draft
    if draft is None:
        raise ModelLoadFailed(f"The model '{entry.id}' has no draft.")
    with ExitStack() as undo:
        options = ModelOptions(gpu_layers(settings, draft), settings.use_mmap)
        model = Model.load(draft.path, options)
        undo.callback(model.close)
        if not model.vocabulary.is_same_as(target.vocabulary):
            raise ModelLoadFailed(
                f"The draft {draft.path.name} has another vocabulary than the model '{entry.id}': "
                f"it cannot guess for it."
            )
        runtime = LlamaRuntime(model, context_options(settings, entry, threads), owns_model=True)
        undo.callback(runtime.close)
        if not runtime.memory.is_cuttable:
            raise ModelLoadFailed(
                f"The draft {draft.path.name} cannot take guesses back: its memory is "
                f"{runtime.memory.kind}. Please use one with plain attention."
            )
        undo.pop_all()
    return runtime
