"""Tokens chosen inside llama.cpp's compute graph, where the logits are.

On a GPU this saves the way of every row to the host. A sampler works on the outputs of one sequence
id, here called a slot, and a change of samplers makes llama.cpp plan its graphs anew: so a chain
stays in its slot when the sequence leaves, and the next one of equal sampling only puts its state
there.
"""

from dataclasses import dataclass
from typing import Any

from app.core.errors import EngineFailed
from app.core.requests import SamplingParams
from app.llama.bindings import lib
from app.llama.penalties import has_penalties
from app.llama.rows import Float32Array
from app.llama.stages import draw_seed, has_xtc, make_chain, make_greedy_chain, truncations

# a larger k than there are tokens aborts the process, and large ones are as slow as a sort
_MOST_TOP_K = 1024

# the graph keeps what is above the bound, not what reaches it: here it would keep nothing
_MOST_MIN_P = 0.99

# the graph multiplies by the inverse, which must not overflow
_LEAST_TEMPERATURE = 1e-6

_NO_SLOT = -1  # a sequence id that no batch names


class GraphSampler:
    """One sequence's sampling without penalties: satisfies `engine.runtime.Sampler`."""

    def __init__(self, owner: "GraphSampling", params: SamplingParams) -> None:
        self._owner = owner
        self.chain = _make_chain(params)  # holds the random state while there is no seat
        self.kind = _kind(params)
        self.seat: _Seat | None = None

    def sample(self, row: int, _logits: Float32Array, _permit: object = None) -> int:
        """The token that the graph chose at batch row `row`; the logits may not be there, and
        nothing may be forbidden."""
        if self.seat is None:
            raise EngineFailed("A sequence whose tokens the graph chooses has no seat there.")
        return self._owner.take(row, self.seat)

    def accept(self, token: int) -> None:
        """Only penalties would remember it."""

    def leave(self) -> None:
        """Take the state along; the seat keeps its chain."""
        if self.seat is not None:
            lib.llama_sampler_copy(self.seat.chain, self.chain)
            self.seat.sampler = self.seat = None

    def close(self) -> None:
        """Free the state; idempotent."""
        if self.chain:
            self.leave()
            lib.llama_sampler_free(self.chain)
            self.chain = None


@dataclass(slots=True)
class _Seat:
    chain: Any
    kind: SamplingParams
    sampler: GraphSampler | None = None


class GraphSampling:
    """The samplers of one context. One thread only, between two decodes."""

    def __init__(self, context: Any, vocabulary_size: int) -> None:
        self._context = context
        self._most_top_k = min(_MOST_TOP_K, vocabulary_size)
        self._seats: dict[int, _Seat] = {}
        self._is_supported: dict[SamplingParams, bool] = {}

    def make(self, params: SamplingParams) -> GraphSampler | None:
        """None when the backend cannot do this sampling."""
        return GraphSampler(self, params) if self._is_possible(params) else None

    def seat(self, slot: int, sampler: GraphSampler | None) -> None:
        """From now on `sampler` chooses for sequence id `slot`; None: nobody does here."""
        if sampler is not None:
            sampler.leave()
        seat = self._seats.get(slot)
        if seat is not None and seat.sampler is not None:
            seat.sampler.leave()
        if seat is not None and (sampler is None or seat.kind != sampler.kind):
            lib.llama_set_sampler(self._context, slot, None)
            lib.llama_sampler_free(self._seats.pop(slot).chain)
            seat = None
        if sampler is None:
            return
        if seat is None:
            # a clone: a chain can be put into a graph only once
            seat = self._seats[slot] = _Seat(lib.llama_sampler_clone(sampler.chain), sampler.kind)
            lib.llama_set_sampler(self._context, slot, seat.chain)
        else:
            lib.llama_sampler_copy(sampler.chain, seat.chain)
        seat.sampler, sampler.seat = sampler, seat

    def take(self, row: int, seat: _Seat) -> int:
        token: int = lib.llama_get_sampled_token_ith(self._context, row)
        if token < 0:
            raise EngineFailed(f"llama.cpp's graph chose no token for row {row} of the batch.")
        lib.llama_sampler_accept(seat.chain, token)
        return token

    def close(self) -> None:
        """Free all chains; the context must be gone already."""
        while self._seats:
            seat = self._seats.popitem()[1]
            if seat.sampler is not None:
                seat.sampler.seat = None
            lib.llama_sampler_free(seat.chain)

    def _is_possible(self, params: SamplingParams) -> bool:
        if has_penalties(params) or params.dry_multiplier > 0:
            return False
        is_random = params.temperature > 0
        if is_random and (
            params.mirostat
            or has_xtc(params)
            or params.top_k > self._most_top_k
            or params.min_p > _MOST_MIN_P
            or params.temperature < _LEAST_TEMPERATURE
        ):
            return False
        # what is supported does not depend on numbers other than k
        shape = SamplingParams(
            temperature=0.5 * is_random,
            top_k=params.top_k * is_random,
            top_p=0.5 if params.top_p < 1 else 1.0,
            min_p=0.5 if params.min_p > 0 else 0.0,
            typical_p=0.5 if params.typical_p < 1 else 1.0,
            seed=0,
        )
        if shape not in self._is_supported:
            self._is_supported[shape] = self._try(shape)
        return self._is_supported[shape]

    def _try(self, params: SamplingParams) -> bool:
        """Whether the backend can do all stages of a chain: llama.cpp then marks them with a plus,
        and those that do nothing with a question mark."""
        chain = _make_chain(params)
        lib.llama_set_sampler(self._context, _NO_SLOT, chain)
        count = lib.llama_sampler_chain_n(chain)
        stages = [lib.llama_sampler_chain_get(chain, index) for index in range(count)]
        names = [lib.llama_sampler_name(stage).decode() for stage in stages]
        lib.llama_set_sampler(self._context, _NO_SLOT, None)
        lib.llama_sampler_free(chain)
        return all(name.startswith(("+", "?")) for name in names)


def _kind(params: SamplingParams) -> SamplingParams:
    """What decides a chain apart from its state."""
    if params.temperature <= 0:
        return SamplingParams(temperature=0)
    return SamplingParams(
        temperature=params.temperature, top_k=params.top_k, top_p=params.top_p, min_p=params.min_p
    )


def _make_chain(params: SamplingParams) -> Any:
    if params.temperature <= 0:
        return make_greedy_chain()
    return make_chain(params, draw_seed(params), truncations(params))
