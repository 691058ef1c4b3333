"""Text to tokens and back, and prompts as the model reads them: nothing is generated."""

from dataclasses import dataclass
from functools import partial

from app.core.models import ModelInfo
from app.core.requests import GenerationRequest, TokenizeRequest
from app.pool.loaded import Tokenizer
from app.services.plan import tokenize_prompts
from app.services.ports import ModelPool
from app.services.threads import run_in_thread
from app.services.tokens import check_tokens, choose_template
from app.services.weight import INLINE_WEIGHT


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """`pieces` are the exact bytes of the tokens; where a character is spread over several, a piece
    is no text by itself."""

    model: ModelInfo
    tokens: tuple[int, ...]
    pieces: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A conversation as the model's template writes it, and its tokens."""

    model: ModelInfo
    text: str
    tokens: tuple[int, ...]


class TextService:
    """Needs the model, which is loaded for it where it is not there."""

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    async def tokenize(self, request: TokenizeRequest) -> TokenizedText:
        """Raises what a lease raises."""
        async with self._pool.lease(request.model) as loaded:
            work = partial(_tokenize, loaded.tokenizer, request)
            tokens = work() if len(request.text) <= INLINE_WEIGHT else await run_in_thread(work)
            return TokenizedText(loaded.info, tokens, _spell(loaded.tokenizer, tokens))

    async def spell(self, model: str, tokens: tuple[int, ...]) -> tuple[bytes, ...]:
        """The bytes of each token. Raises BadRequest for an id that the model does not have, and
        what a lease raises."""
        async with self._pool.lease(model) as loaded:
            check_tokens(tokens, loaded.tokenizer, param="tokens")
            return _spell(loaded.tokenizer, tokens)

    async def render(self, request: GenerationRequest) -> RenderedPrompt:
        """The first prompt of a request as it would be computed, refusals included."""
        async with self._pool.lease(request.model) as loaded:
            template = choose_template(request.prompts, loaded)
            prompt = (await tokenize_prompts(request, loaded, template))[0]
            return RenderedPrompt(loaded.info, prompt.text, prompt.tokens)


def _tokenize(tokenizer: Tokenizer, request: TokenizeRequest) -> tuple[int, ...]:
    return tuple(
        tokenizer.tokenize(
            request.text, add_special=request.add_special, parse_special=request.parse_special
        )
    )


def _spell(tokenizer: Tokenizer, tokens: tuple[int, ...]) -> tuple[bytes, ...]:
    return tuple(tokenizer.piece(token, special=True) for token in tokens)
