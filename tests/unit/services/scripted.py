"""A pool whose one model answers from a script: what services and routes are tested with."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from app.catalog.entries import ModelEntry
from app.catalog.gguf import GgufHeader
from app.chat.template import ChatTemplate
from app.core.errors import CorralError, ModelNotFound
from app.core.events import TokenCandidate, TokenLogprob
from app.core.models import ModelInfo
from app.core.options import DraftMethod
from app.core.pulls import PullOutcome
from app.core.records import GenerationRecord
from app.core.requests import Constraint, SamplingParams
from app.core.stats import EngineStats, PoolMemory
from app.engine.constraint import ConstraintCompiler, Frame, TokenConstraint
from app.engine.embedder import Embedder
from app.engine.engine import Engine, OutputStream
from app.engine.messages import (
    End,
    Output,
    PromptLogprobs,
    SequenceFailed,
    SequenceFinished,
    SequenceOutput,
    SequenceSpec,
    SequenceStarted,
    StopReason,
)
from app.engine.runtime import Float32Array
from app.pool.loaded import LoadedModel

SPECIAL = {256: "<s>", 257: "</s>", 258: "<|im_start|>", 259: "<|im_end|>", 263: "<tool_call>"}
INFILL = (260, 261, 262)
BOS, EOS = 256, 257

INFO = ModelInfo(
    id="org/tiny:q8",
    created=1_700_000_000,
    state="hot",
    size=1234,
    architecture="llama",
    context_window=2048,
    max_output_tokens=1024,
    context_trained=4096,
    parameters=1000,
    vocabulary_size=300,
    embedding_size=4,
    quantization="Q8_0",
    aliases=("tiny",),
    capabilities=("chat", "completion"),
    device="CPU",
    gpu_layers=0,
)


METADATA: dict[str, str | int | float | bool] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "llama.context_length": 4096,
    "tokenizer.chat_template": "{{ messages[0].content }}",
}


class ByteTokenizer:
    """One token for each byte, and a few control tokens."""

    size = 300
    eos_token: int | None = EOS
    separators = ((BOS,), (EOS,), (EOS,))

    def __init__(self, *, has_bos: bool = True, has_infill: bool = True) -> None:
        self.bos_token: int | None = BOS if has_bos else None
        self.infill_tokens = INFILL if has_infill else None

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        made: list[int] = []
        while text:
            special = next((i for i, s in SPECIAL.items() if text.startswith(s)), None)
            if parse_special and special is not None:
                made.append(special)
                text = text[len(SPECIAL[special]) :]
            else:
                made += text[0].encode()
                text = text[1:]
        starts = add_special and self.bos_token is not None
        return [BOS, *made] if starts else made

    def piece(self, token: int, *, special: bool = False) -> bytes:
        if token < 256:
            return bytes([token])
        return SPECIAL.get(token, "").encode() if special else b""

    def detokenize(self, tokens: Sequence[int]) -> str:
        return b"".join(self.piece(token) for token in tokens).decode(errors="replace")

    def text(self, token: int) -> str:
        return SPECIAL[token]


@dataclass(frozen=True)
class Script:
    """One answer: `pieces` are the texts of its steps, a token each."""

    pieces: tuple[str, ...] = ("Hel", "lo")
    reason: StopReason = "stop"
    logprob: float = -0.5
    failure: CorralError | None = None
    start_delay: float = 0.0
    pause: float = 0.0
    cached_tokens: int = 0
    never_ends: bool = False
    is_together: bool = False
    accepted_tokens: int = 0
    rejected_tokens: int = 0


def make_logprob(piece: str, logprob: float, top: int) -> TokenLogprob:
    chosen = TokenCandidate(7, piece.encode(), logprob)
    others = (chosen, TokenCandidate(8, b"other", float("-inf")))
    return TokenLogprob(chosen, others[:top])


class ScriptedEngine(Engine):
    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts or (Script(),)
        self.specs: list[SequenceSpec] = []
        self.cancelled: list[str] = []
        self.refusal: CorralError | None = None
        self.open: dict[str, OutputStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def stats(self) -> EngineStats:
        return EngineStats(steps=len(self.cancelled))

    def submit(self, specs: tuple[SequenceSpec, ...]) -> tuple[OutputStream, ...]:
        if self.refusal:
            raise self.refusal
        streams: list[OutputStream] = []
        news = asyncio.Event()
        for spec in specs:
            script = self.scripts[len(self.specs) % len(self.scripts)]
            self.specs.append(spec)
            stream = self.open[spec.id] = OutputStream(self, spec.id, news)
            task = asyncio.create_task(self._play(spec, script, stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            streams.append(stream)
        return tuple(streams)

    def cancel(self, identifier: str) -> None:
        self.cancelled.append(identifier)
        self.open[identifier].close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _play(self, spec: SequenceSpec, script: Script, stream: OutputStream) -> None:
        await asyncio.sleep(script.start_delay)
        for output in self._outputs(spec, script):
            if spec.id in self.cancelled:
                return
            stream.deliver(output)
            if isinstance(output, End):
                stream.close()
            elif not script.is_together:
                await asyncio.sleep(script.pause)

    def _outputs(self, spec: SequenceSpec, script: Script) -> list[Output]:
        made: list[Output] = []
        if script.failure is None or script.pieces:
            made.append(SequenceStarted(spec.id, script.cached_tokens, 0.01))
        if spec.prompt_logprobs is not None:
            logprobs = [make_logprob(chr(t), -2.0, spec.prompt_logprobs) for t in spec.prompt[1:]]
            made.append(PromptLogprobs(spec.id, tuple(logprobs)))
        for piece in script.pieces:
            told = ()
            if spec.logprobs is not None:
                told = (make_logprob(piece, script.logprob, spec.logprobs),)
            made.append(SequenceOutput(spec.id, piece, 1, told))
        if script.failure is not None:
            made.append(SequenceFailed(spec.id, script.failure))
        elif not script.never_ends:
            guessed = (script.accepted_tokens, script.rejected_tokens)
            made.append(SequenceFinished(spec.id, script.reason, len(script.pieces), *guessed))
        return made


class ScriptedConstraints(ConstraintCompiler):
    def __init__(self) -> None:
        self.compiled: list[Constraint | None] = []
        self.frames: list[Frame | None] = []
        self.turn = asyncio.Semaphore(2)

    def compile(self, constraint: Constraint | None, frame: Frame | None = None) -> TokenConstraint:
        self.compiled.append(constraint)
        self.frames.append(frame)
        return "compiled"  # pyright: ignore[reportReturnType]

    def recall(self, constraint: Constraint | None, frame: Frame) -> None:
        """Nothing is in the cache."""


class ScriptedEmbedder(Embedder):
    """The vector of an input is [length, 1, 2, 2], made a unit vector."""

    def __init__(self) -> None:
        self.inputs: list[list[int]] = []

    @property
    def dimensions(self) -> int:
        return 4

    @property
    def max_tokens(self) -> int:
        return 64

    async def embed(self, inputs: list[list[int]]) -> Float32Array:
        self.inputs += inputs
        rows = np.array([[len(ids), 1, 2, 2] for ids in inputs], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@dataclass
class ScriptedPool:
    """`refusal` is raised by every lease; `leases` counts those that are held."""

    engine: ScriptedEngine | None
    info: ModelInfo = INFO
    template: str | None = None
    tokenizer: ByteTokenizer = field(default_factory=ByteTokenizer)
    embedder: ScriptedEmbedder | None = field(default_factory=ScriptedEmbedder)
    constraints: ScriptedConstraints | None = field(default_factory=ScriptedConstraints)
    refusal: CorralError | None = None
    lease_delay: float = 0.0
    leases: int = 0
    keep_alive: float | None = None
    unloads: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    template_error: str | None = None
    speculation: frozenset[DraftMethod] = frozenset({"off", "ngram"})
    tool_template: str | None = None
    system_prompt: str | None = None
    ranker: ScriptedEmbedder | None = None
    rank_template: str | None = None
    tool_format: str | None = None
    metadata: dict[str, str | int | float | bool] = field(default_factory=METADATA.copy)
    is_ready: bool = True
    is_alive: bool = True
    absent: str | None = None
    """The model that is not downloaded yet."""

    @property
    def loaded(self) -> LoadedModel:
        return LoadedModel(
            info=self.info,
            tokenizer=self.tokenizer,
            sampling=SamplingParams(),
            template=ChatTemplate(self.template, bos_token="<s>", eos_token="</s>"),
            template_error=self.template_error,
            engine=self.engine,
            embedder=self.embedder,
            constraints=self.constraints,
            speculation=self.speculation,
            tool_template=ChatTemplate(self.tool_template) if self.tool_template else None,
            system_prompt=self.system_prompt,
            ranker=self.ranker,
            rank_template=self.rank_template,
            tool_format=self.tool_format,
        )

    @asynccontextmanager
    async def lease(
        self, model: str, keep_alive: float | None = None
    ) -> AsyncGenerator[LoadedModel, None]:
        self.find(model)
        self.keep_alive = keep_alive
        await asyncio.sleep(self.lease_delay)
        if self.refusal:
            raise self.refusal
        self.leases += 1
        try:
            yield self.loaded
        finally:
            self.leases -= 1

    async def load(self, model: str, keep_alive: float | None = None) -> ModelInfo:
        async with self.lease(model, keep_alive):
            return self.find(model)

    async def unload(self, model: str, patience: float = 1.0) -> None:
        self.unloads.append((self.find(model).id, patience))

    def memory(self) -> PoolMemory:
        return PoolMemory({self.info.id: 99}, 1000)

    def models(self) -> tuple[ModelInfo, ...]:
        infos = (self.info, replace(self.info, id="plain", aliases=()))
        return tuple(
            replace(info, state="absent") if info.id == self.absent else info for info in infos
        )

    def find(self, model: str) -> ModelInfo:
        for info in self.models():
            plain = model.removesuffix(":latest")
            if plain == info.id or plain in info.aliases:
                return info
        raise ModelNotFound(f"The model '{model}' does not exist.", param="model")

    def entry(self, model: str) -> ModelEntry:
        info = self.find(model)
        path = Path(f"{info.id}.gguf")
        header = GgufHeader(3, self.metadata, {"tokenizer.ggml.tokens": 300}, 1000)
        return ModelEntry(info.id, (path,), info.size, info.created, header)

    def stats(self) -> dict[str, EngineStats]:
        return {}


@dataclass
class RecordingMetrics:
    calls: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    records: list[GenerationRecord] = field(default_factory=list[GenerationRecord])

    def names(self) -> list[object]:
        return [call[0] for call in self.calls]

    def observe_generation(self, record: GenerationRecord) -> None:
        self.records.append(record)

    def count_pull(self, outcome: PullOutcome) -> None:
        self.calls.append(("pull", outcome))

    def observe_ttft(self, model: str, seconds: float) -> None:
        self.calls.append(("ttft", model, seconds))

    def observe_inter_token(self, model: str, seconds: float, tokens: int = 1) -> None:
        self.calls.append(("inter_token", model, seconds))

    def observe_queue(self, model: str, seconds: float) -> None:
        self.calls.append(("queue", model, seconds))

    def count_rejected(self, model: str, reason_code: str) -> None:
        self.calls.append(("rejected", model, reason_code))

    def observe_cancel(self, model: str, seconds: float) -> None:
        self.calls.append(("cancel", model, seconds))

    def count_tool_parse_failure(self, parser: str) -> None:
        self.calls.append(("tool_parse_failure", parser))

    def observe_http(self, route: str, method: str, status: int, seconds: float) -> None:
        self.calls.append(("http", route, method, status))

    def render(self) -> tuple[bytes, str]:
        return b"# metrics\n", "text/plain; version=0.0.4"
