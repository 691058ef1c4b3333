"""An engine on real llama.cpp that is stepped by hand, and questions for the built-in model."""

import time
from collections.abc import Mapping

from app.core.options import DraftMethod
from app.engine.messages import (
    EngineConfig,
    Output,
    SequenceCancelled,
    SequenceFinished,
    SequenceOutput,
    SequenceSpec,
    SequenceStarted,
    Submit,
)
from app.engine.prefix.store import PrefixStore
from app.engine.worker import Worker
from app.llama.context import ContextOptions, LlamaRuntime
from app.llama.model import Model

# Long enough to be worth keeping.
SYSTEM = "You are a helpful assistant who knows a lot about the world. " * 6


class SteppedEngine:
    """`adapters`: their names, and what stands for the file of each."""

    def __init__(
        self,
        model: Model,
        *,
        kv_size: int = 4096,
        store: PrefixStore | None = None,
        speculation: DraftMethod = "off",
        adapters: Mapping[str, str] | None = None,
    ) -> None:
        options = ContextOptions(
            kv_size=kv_size, max_sequences=8, threads=1, batch_tokens=160, extra_outputs=48
        )
        draft = LlamaRuntime(model, options) if speculation == "model" else None
        config = EngineConfig(
            step_tokens=128,
            speculation=speculation,
            draft_tokens=4,
            gates_speculation=False,
            adapters=tuple(adapters or ()),
        )
        self._model = model
        self.outputs: dict[str, list[Output | SequenceCancelled]] = {}
        self._open: set[str] = set()
        prefixes = (store or PrefixStore(0)).of_model("tiny", adapters)
        self.worker = Worker(LlamaRuntime(model, options), config, self._deliver, prefixes, draft)

    def prompt(self, question: str) -> tuple[int, ...]:
        """A chat's, up to the answer."""
        text = (
            f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n"
            f"<|im_start|>assistant\n"
        )
        return tuple(self._model.vocabulary.tokenize(text, add_special=True, parse_special=True))

    def submit(self, spec: SequenceSpec) -> None:
        self._open.add(spec.id)
        self.worker.send(Submit(spec))

    def run(self) -> None:
        """Until all have ended; who waits for a file has nothing to do meanwhile."""
        while self.worker.step() or self._open:
            time.sleep(0)

    def text(self, name: str) -> str:
        """What the sequence of this id has said."""
        return "".join(o.text for o in self.outputs[name] if isinstance(o, SequenceOutput))

    def cached(self, name: str) -> int:
        """The tokens of its prompt that were not computed."""
        return sum(o.cached_tokens for o in self.outputs[name] if isinstance(o, SequenceStarted))

    def close(self) -> None:
        self.worker.stop()
        self.worker.run()

    def _deliver(self, outputs: list[Output | SequenceCancelled]) -> None:
        for output in outputs:
            self.outputs.setdefault(output.id, []).append(output)
            if isinstance(output, SequenceFinished):
                self._open.remove(output.id)
