"""Adds guesses to a step, and learns from what became of them."""

import time
from collections.abc import Mapping

from app.core.memory import MemoryTraits
from app.core.options import DraftMethod
from app.engine.messages import SequenceSpec
from app.engine.runtime import Runtime
from app.engine.sequence import Sequence
from app.engine.speculation.drafters import Drafter, ModelDrafter, NgramDrafter
from app.engine.speculation.gate import Gate, Record
from app.engine.step import Piece, Step
from app.engine.step_times import StepTimes


def make_drafters(memory: MemoryTraits, draft: Runtime | None) -> dict[DraftMethod, Drafter]:
    """Who can guess for an engine. Nobody where wrong guesses cannot be taken back."""
    if not memory.is_cuttable:
        return {}
    drafters: dict[DraftMethod, Drafter] = {"ngram": NgramDrafter()}
    if draft is not None:
        drafters["model"] = ModelDrafter(draft)
    return drafters


class Speculator:
    def __init__(
        self,
        drafters: Mapping[DraftMethod, Drafter],
        times: StepTimes,
        *,
        default: DraftMethod,
        most: int,
        is_gated: bool = True,
    ) -> None:
        """`default`: the method of sequences that ask for none. `most`: guesses per sequence and
        step. Without the gate all guesses are computed, whatever they cost."""
        self._drafters = drafters
        self._default: DraftMethod = default
        self._most = most
        self._gates = {method: Gate(times) for method in drafters} if is_gated else {}
        self._records: dict[Sequence, Record] = {}

    def method_of(self, spec: SequenceSpec) -> DraftMethod | None:
        """Who guesses for a sequence; None where nobody can or should."""
        wanted = spec.speculation or self._default
        return wanted if wanted in self._drafters else None

    def add_guesses(self, step: Step, *, room: int, outputs: int) -> None:
        """Give decoding sequences guesses, at most `room` tokens and `outputs` rows in all. Beside
        prompts there are none: such a step is long for another reason."""
        room = min(room, outputs)
        for method, drafter in self._drafters.items():
            if step.prefill or room <= 0:
                return
            gate = self._gates.get(method)
            if gate is not None and not gate.may_guess(is_asked=self._is_asked(step, method)):
                continue
            pieces = [piece for piece in step.decode if self._wants(piece, method)]
            if pieces:
                self._guess(drafter, gate, pieces, step, room)
                room -= sum(len(piece.drafts) for piece in pieces)

    def learn(self, sequence: Sequence, token: int, guess: int | None) -> None:
        """The model chose `token` where `guess` was computed, or none."""
        record = self._records.get(sequence)
        if record is None:
            return
        if guess is None:
            record.compare(token)
        else:
            record.judge(guess == token)

    def pass_time(self, seconds: float) -> None:
        for gate in self._gates.values():
            gate.pass_time(seconds)

    def leave(self, sequence: Sequence) -> None:
        """The sequence leaves its slot."""
        if self._records.pop(sequence, None) is not None:
            for drafter in self._drafters.values():
                drafter.leave(sequence.slot)

    def close(self) -> None:
        for drafter in self._drafters.values():
            drafter.close()

    def _wants(self, piece: Piece, method: DraftMethod) -> bool:
        is_its = self.method_of(piece.sequence.spec) == method
        return is_its and piece.completes and piece.sequence.tokens_left > 1

    def _is_asked(self, step: Step, method: DraftMethod) -> bool:
        """Whether one came with a prediction that nobody has looked at. Asked in every step, so
        what most have not is looked at first."""
        return any(
            len(piece.sequence.prediction) > 0
            and piece.sequence not in self._records
            and self._wants(piece, method)
            for piece in step.decode
        )

    def _guess(
        self, drafter: Drafter, gate: Gate | None, pieces: list[Piece], step: Step, room: int
    ) -> None:
        began = time.perf_counter()
        records = [self._records.setdefault(piece.sequence, Record()) for piece in pieces]
        guesses = drafter.draft([piece.sequence for piece in pieces], self._most)
        offers = [
            (guess or [])[: piece.sequence.tokens_left - 1]
            for guess, piece in zip(guesses, pieces, strict=True)
        ]
        counts = [len(offer) for offer in offers]
        rows, n_sequences = step.n_tokens, len(step.decode)
        if gate is not None:
            counts = gate.choose(rows, n_sequences, list(zip(records, counts, strict=True)))
        for piece, record, offer, count in zip(pieces, records, offers, counts, strict=True):
            step.add_guesses(piece, offer[: min(count, room)])
            room -= len(piece.drafts)
            record.shadow = [] if piece.drafts else offer
        if gate is None:
            return
        seconds = time.perf_counter() - began
        if None in guesses:
            gate.settle_reading(seconds)
        else:
            chosen = [len(piece.drafts) for piece in pieces]
            gate.settle(rows, n_sequences, list(zip(records, chosen, strict=True)), seconds)
