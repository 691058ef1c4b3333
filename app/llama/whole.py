"""Sampling from a whole row, where no top-k comes first.

llama.cpp sorts the vocabulary for that: 11,000 microseconds a row at 150,000 tokens. Here the
first stage's cut is found without sorting. Either the tokens it keeps are among the few best,
which is proven by their share of the whole row's mass; llama.cpp's later stages then see only
them. Or they are many: then a token is drawn from the whole row at the final temperature, and
drawn again until the stages would have kept it, which gives the same distribution.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from app.core.requests import SamplingParams
from app.llama.bindings import lib
from app.llama.candidates import CandidateArray
from app.llama.rows import Float32Array, Fold, IdArray, Weights
from app.llama.stages import has_xtc, make_chain, truncations

# as many of the best tokens are sorted before a draw from the whole row is tried
_FEW = 128

# columns of the fold that are searched for the tokens above a bound; beyond, a draw is cheaper
_MOST_COLUMNS = 512

_MOST_DRAWS = 32  # from the whole row, until the tokens kept are listed after all

# a draw at temperature t is one at 1 that passes with chance (weight / largest) ** (1 / t - 1);
# beyond this exponent, which is temperature 0.65, so few pass that new weights are cheaper
_MOST_EXPONENT = 0.54

_OTHER_SEED = 0x5DEECE66  # two chains of one sequence must not draw the same random numbers

_LEAST_EXPONENT = np.float32(-104)  # exp of less is 0


class Kept(Protocol):
    """What the first active truncation stage keeps of a row."""

    @property
    def weights(self) -> Weights | None:
        """Those at temperature 1, where they were needed."""
        ...

    def few(self) -> IdArray | None:
        """The ids, in the order in which llama.cpp leaves them; None when they are many."""
        ...

    def all(self) -> IdArray:
        """The ids however many they are, for the price of sorting them."""
        ...

    def holds(self, token: int) -> bool:
        """Whether a token is kept."""
        ...


class Nucleus:
    """The best tokens by some key, until they hold a share of the mass.

    The token that reaches the share is the last that is kept; with `strictly`, the one that
    exceeds it.
    """

    def __init__(
        self, key: Float32Array, weights: Weights, share: float, *, strictly: bool = False
    ) -> None:
        """`key`, shape of the row: larger is better, minus infinity is never kept."""
        self._key, self.weights, self._strictly = key, weights, strictly
        self._mass = float(np.float32(share)) * weights.total
        # known so far: keys of at least `inside` are kept, keys of at most `outside` are not
        self._inside, self._outside = np.inf, -np.inf

    def few(self) -> IdArray | None:
        if _FEW * self.weights.largest < self._mass:
            return None
        ids, last = self._best(Fold(self._key).largest(_FEW))
        if last < len(ids):
            return ids[: last + 1]
        self._inside = float(self._key[ids[-1]])
        return None

    def all(self) -> IdArray:
        ids, last = self._best(np.flatnonzero(self._key > self._outside))
        return ids[: last + 1]

    def holds(self, token: int) -> bool:
        key = float(self._key[token])
        if key >= self._inside or key <= self._outside:
            return key >= self._inside
        better = self.weights.mass_where(self._key > key)
        if better < self._mass or (self._strictly and better == self._mass):
            self._inside = key
            return True
        self._outside = key
        return False

    def _best(self, ids: IdArray) -> tuple[IdArray, int]:
        """`ids` with the best first, and the index of the last that is kept: their number when
        they do not reach the mass. All others must have smaller keys."""
        ids = ids[np.argsort(-self._key[ids])]
        running = np.cumsum(self.weights.values[ids], dtype=np.float64)
        return ids, int(np.searchsorted(running, self._mass, "right" if self._strictly else "left"))


class AtLeast:
    """The tokens whose logit reaches a bound."""

    weights = None

    def __init__(self, row: Float32Array, bound: float) -> None:
        self._row, self._bound = row, bound

    def few(self) -> IdArray | None:
        if self._bound == -np.inf:
            return None
        fold = Fold(self._row)
        if fold.columns_reaching(self._bound) > _MOST_COLUMNS:
            return None
        return np.sort(fold.reaching(self._bound))

    def all(self) -> IdArray:
        return np.flatnonzero((self._row >= self._bound) & (self._row > -np.inf))

    def holds(self, token: int) -> bool:
        return bool(self._row[token] >= self._bound)


def first_stage(row: Float32Array, top: float, params: SamplingParams) -> Kept:
    """What typical-p, top-p or min-p keeps, whichever comes first; everything without any. `top`:
    the largest logit, finite."""
    if params.typical_p < 1:
        weights = Weights(row, top)
        return Nucleus(_typicality(row, top, weights), weights, params.typical_p, strictly=True)
    if params.top_p < 1:
        return Nucleus(row, Weights(row, top), params.top_p)
    return AtLeast(row, _least_logit(top, params))


def _typicality(row: Float32Array, top: float, weights: Weights) -> Float32Array:
    """Minus the distance of each token's surprise from the row's entropy."""
    finite = np.maximum(row, np.float32(top) + _LEAST_EXPONENT)  # 0 times minus infinity is NaN
    mean = float(np.einsum("i,i->", weights.values, finite)) / weights.total
    key = np.subtract(row, np.float32(mean), out=finite)
    np.abs(key, out=key)
    return np.negative(key, out=key)


def _least_logit(top: float, params: SamplingParams) -> float:
    """The bound of min-p; minus infinity without it."""
    with np.errstate(divide="ignore"):
        return float(np.float32(top) + np.log(np.float32(params.min_p)))


class WholeRowSampler:
    """Draws of one sequence whose sampling has no top-k. Its state is that of random numbers."""

    def __init__(self, params: SamplingParams, seed: int) -> None:
        self._params = params
        self._random = np.random.default_rng((seed, 1))
        rest = truncations(params)[1:]
        self._plain: Any = make_chain(params, seed, rest)
        self._xtc: Any = None  # XTC strikes whenever this chain is used, which is drawn here
        if has_xtc(params):
            self._xtc = make_chain(params, seed ^ _OTHER_SEED, rest, xtc_probability=1.0)
        self._candidates = CandidateArray()

    def draw(self, row: Float32Array) -> int:
        """A token of `row`."""
        params, top = self._params, float(row.max())
        if top == -np.inf:  # all are masked
            return int(row.argmax())
        strikes = self._xtc is not None and self._random.random() <= params.xtc_probability
        kept = first_stage(row, top, params)
        ids = kept.few()
        if ids is None:
            token = self._draw_from_many(row, top, kept, strikes=strikes)
            if token is not None:
                return token
            ids = kept.all()
        chain = self._xtc if strikes else self._plain
        is_sorted = truncations(params)[:1] == ["top_p"]
        return self._candidates.choose(chain, ids, row, is_sorted=is_sorted)

    def close(self) -> None:
        """Free the chains; idempotent."""
        for chain in (self._plain, self._xtc):
            if chain is not None:
                lib.llama_sampler_free(chain)
        self._plain = self._xtc = None

    def _draw_from_many(
        self, row: Float32Array, top: float, kept: Kept, *, strikes: bool
    ) -> int | None:
        """Draw from the whole row until all stages keep the token; None when too many draws miss,
        or the stages after the first need to know all tokens it keeps."""
        params = self._params
        least, most = _least_logit(top, params), np.inf
        if params.typical_p < 1 and (params.top_p < 1 or params.min_p > 0 or strikes):
            return None
        if strikes:
            if params.top_p < 1:
                return None
            most = _most_logit(row, top, least, params)
        for token in self._drawn(row, top, kept.weights):
            if least <= row[token] <= most and kept.holds(token):
                return token
        return None

    def _drawn(self, row: Float32Array, top: float, known: Weights | None) -> Iterator[int]:
        """Tokens drawn from the whole row at the final temperature. `known`: the weights at
        temperature 1, which make other ones unnecessary where they are not too different."""
        exponent = 1 / self._params.temperature - 1
        if known is not None and 0 <= exponent <= _MOST_EXPONENT:
            for _ in range(_MOST_DRAWS):
                token = known.find(1.0 - self._random.random())
                chance = (known.values[token] / known.largest) ** exponent
                if not exponent or self._random.random() < chance:
                    yield token
        weights = Weights(row, top, self._params.temperature)
        for _ in range(_MOST_DRAWS):
            yield weights.find(1.0 - self._random.random())


def _most_logit(row: Float32Array, top: float, least: float, params: SamplingParams) -> float:
    """Logit of the least likely token of those that XTC counts as top choices: only the ones above
    it are removed. `least`: the tokens below are no longer there."""
    weights = Weights(row, top)
    is_kept = row >= least
    mass = weights.mass_where(is_kept)
    choices = row[is_kept & (weights.values >= params.xtc_threshold * mass)]
    return float(choices.min(initial=np.inf))
