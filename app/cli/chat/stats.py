"""What answers took, in words and as JSON."""

from collections.abc import Sequence
from typing import Any

from app.cli.chat.turn import Turn

Json = dict[str, Any]


def write_turn(turn: Turn, window: int | None) -> str:
    """One line about one answer. `window`: tokens of the model's context."""
    counts = turn.counts
    facts: list[str] = []
    if counts is not None:
        cached = f" ({counts.cached} cached)" if counts.cached else ""
        thought = f" ({counts.thought} of thought)" if counts.thought else ""
        facts += [f"prompt {counts.prompt} tokens{cached}", f"answer {counts.answer}{thought}"]
    if turn.speed is not None:
        facts.append(f"{turn.speed:.1f} tokens/s")
    if turn.first is not None:
        facts.append(f"first after {turn.first:.2f} s")
    facts.append(f"total {turn.total:.2f} s")
    if counts is not None and window:
        used = counts.prompt + counts.answer
        facts.append(f"context {used} of {window} ({used / window:.0%})")
    return " · ".join(facts)


def write_session(turns: Sequence[Turn], window: int | None) -> str:
    """The last answer, and all of them together."""
    if not turns:
        return "nothing has been asked yet"
    counted = [turn.counts for turn in turns if turn.counts is not None]
    lines = [f"last     {write_turn(turns[-1], window)}"]
    if len(turns) > 1:
        prompt, cached = (sum(c.prompt for c in counted), sum(c.cached for c in counted))
        answer, seconds = sum(c.answer for c in counted), sum(turn.total for turn in turns)
        lines.append(
            f"session  {len(turns)} answers · prompts {prompt} tokens ({cached} cached) · "
            f"answers {answer} · {seconds:.1f} s"
        )
    return "\n".join(lines)


def encode_turn(turn: Turn) -> Json:
    """The whole answer for scripts; seconds, and tokens as the server counts them."""
    counts = turn.counts
    usage = None
    if counts is not None:
        usage = {
            "prompt_tokens": counts.prompt,
            "cached_tokens": counts.cached,
            "completion_tokens": counts.answer,
            "reasoning_tokens": counts.thought,
        }
    return {
        "model": turn.model,
        "content": turn.text,
        "thinking": turn.thought or None,
        "finish_reason": turn.reason,
        "usage": usage,
        "timings": {
            "ttft_seconds": turn.first,
            "total_seconds": turn.total,
            "tokens_per_second": turn.speed,
        },
    }
