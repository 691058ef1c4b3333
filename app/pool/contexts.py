"""From settings and the manifest to the options of a model's context and engine."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from app.catalog.entries import ModelEntry
from app.config.hardware import usable_cores
from app.config.settings import Settings
from app.core.errors import ModelLoadFailed
from app.engine.messages import EngineConfig
from app.llama import library
from app.llama.context import ContextOptions
from app.llama.embedding import EmbeddingOptions
from app.llama.footprint import Footprint, estimate
from app.pool.describe import decide_sizes
from app.pool.devices import draft_options, model_options, uses_gpu

_UBATCH_CPU, _UBATCH_GPU = 128, 512
# a row of logits is as large as the vocabulary: half a megabyte and more
_MOST_GUESSES = 48
_PROMPT_ROWS = 16


def decide_threads(settings: Settings, entry: ModelEntry) -> tuple[int, int]:
    """Those that generate and those that read prompts, of one engine. Replicas on a CPU share what
    there is."""
    threads = settings.threads or usable_cores()
    each = 1 if uses_gpu(settings, entry) else entry.replicas
    return max(1, threads // each), max(1, (settings.threads_batch or threads) // each)


def context_options(settings: Settings, entry: ModelEntry) -> ContextOptions:
    n_sequences = entry.max_sequences or settings.max_sequences
    guesses = min(n_sequences * (entry.draft_tokens or settings.draft_tokens), _MOST_GUESSES)
    on_gpu, (threads, threads_batch) = uses_gpu(settings, entry), decide_threads(settings, entry)
    return ContextOptions(
        kv_size=decide_sizes(entry, settings).kv,
        max_sequences=n_sequences,
        # beside the prompts, a decode holds a token of every sequence and its guesses
        batch_tokens=max(settings.step_tokens, settings.mixed_step_tokens) + n_sequences + guesses,
        ubatch_tokens=settings.ubatch_tokens or (_UBATCH_GPU if on_gpu else _UBATCH_CPU),
        threads=threads,
        threads_batch=threads_batch,
        kv_type=settings.kv_type,
        flash_attention=settings.flash_attention,
        backend_sampling=settings.backend_sampling == "on"
        or (settings.backend_sampling == "auto" and on_gpu),
        extra_outputs=guesses + _PROMPT_ROWS,
        kv_unified=settings.kv_unified,
        swa_full=settings.swa_full,
    )


def embedding_options(settings: Settings, entry: ModelEntry) -> EmbeddingOptions:
    threads = settings.threads or usable_cores()
    return EmbeddingOptions(decide_sizes(entry, settings).embedding, threads, entry.pooling)


def estimate_memory(settings: Settings, entry: ModelEntry) -> Footprint:
    """What a model will take, its replicas, its draft and its adapters with it, before anybody
    embeds with a chat model.

    The file's size where llama.cpp cannot say: then it will not load it either. Blocks for as long
    as reading the vocabulary takes.
    """
    embedding = embedding_options(settings, entry) if entry.serves_embeddings else None
    context, found = context_options(settings, entry), Footprint()
    models = [entry] if entry.draft is None else [entry, entry.draft]
    # an adapter takes what its file has: the compute graph has room for what it adds
    adapters = sum(adapter.info.size for adapter in entry.lora)
    try:
        for options, replicas in Counter(model_options(settings, entry)).items():
            for one in models:
                its = options if one is entry else draft_options(settings, one, options)
                each = estimate(one.path, its, context, embedding)
                if one is entry:
                    each = each.with_weights(adapters)
                found = sum([each.without_weights] * (replicas - 1), found + each)
    except ModelLoadFailed:
        return Footprint(weights=adapters + sum(one.size for one in models))
    return found


def engine_config(settings: Settings, entry: ModelEntry) -> EngineConfig:
    return EngineConfig(
        max_queue=settings.max_queue,
        mixed_step_tokens=settings.mixed_step_tokens,
        # a GPU reads the weights once for both; it has no tiles that lose by it
        mixes_steps=uses_gpu(settings, entry),
        step_tokens=settings.step_tokens,
        step_seconds=settings.step_latency / 1000,
        speculation=entry.speculation or settings.speculation,
        draft_tokens=entry.draft_tokens or settings.draft_tokens,
        adapters=tuple(adapter.info.name for adapter in entry.lora),
        name=entry.id,
    )


@dataclass(frozen=True, slots=True)
class StateKeys:
    """What the bytes of saved states depend on: `model`, and `adapters` too by their names."""

    model: str
    adapters: dict[str, str]


def state_keys(settings: Settings, entry: ModelEntry) -> StateKeys:
    """Of the files as they are now."""
    return StateKeys(state_key(settings, entry), adapter_keys(entry))


def adapter_keys(entry: ModelEntry) -> dict[str, str]:
    """What the bytes of a state that was computed under an adapter depend on too, by its name."""
    return {one.info.name: repr(_identify((one.path,))) for one in entry.lora}


def _identify(paths: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    files = [(path, path.stat()) for path in paths]
    return tuple((str(path.resolve()), file.st_size, file.st_mtime_ns) for path, file in files)


def state_key(settings: Settings, entry: ModelEntry) -> str:
    """Names what the bytes of a saved state depend on."""
    identity = _identify(entry.paths)
    streams = 1 if settings.kv_unified else entry.max_sequences or settings.max_sequences
    layout = (settings.kv_type, settings.flash_attention, settings.swa_full, streams)
    return f"{identity}, {layout}, {library.build_number()}"
