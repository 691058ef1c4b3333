"""Token counts of a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """`cached_tokens` is part of `prompt_tokens`, `reasoning_tokens` of `completion_tokens`.

    Of the tokens guessed ahead, `accepted_prediction_tokens` are part of `completion_tokens`;
    `rejected_prediction_tokens` were wrong and are part of nothing.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens
