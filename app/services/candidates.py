"""Choosing the best of several candidates (`best_of`)."""

from collections.abc import Sequence
from dataclasses import replace

from app.core.events import Event, ReasoningDelta, TextDelta
from app.services.plan import Plan


def keep_best(events: list[Event], plan: Plan, ranks: Sequence[float]) -> list[Event]:
    """The events of each prompt's `n` candidates of highest rank, renumbered from the best on."""
    request, candidates = plan.request, plan.candidates
    if candidates == request.n:
        return events
    places: dict[int, int] = {}
    for prompt in range(len(plan.prompts)):
        block = range(prompt * candidates, (prompt + 1) * candidates)
        best = sorted(block, key=lambda choice: -ranks[choice])[: request.n]
        places |= {choice: prompt * request.n + place for place, choice in enumerate(best)}
    kept = [
        replace(event, choice=places[event.choice]) for event in events if event.choice in places
    ]
    if request.logprobs is not None:
        return kept
    return [
        replace(event, logprobs=()) if isinstance(event, TextDelta | ReasoningDelta) else event
        for event in kept
    ]
