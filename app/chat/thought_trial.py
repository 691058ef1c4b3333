"""How a template writes earlier thoughts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from app.chat.conventions import Conventions, ReasoningForm
from app.chat.parsers.answer import Thought
from app.chat.thinking import find_thought
from app.chat.tool_trial import CALLING, RESULTS, TOOLS
from app.chat.trial import AGAIN, ANSWER, USER, Trial

THOUGHT = "sentinelthought"
# what a template's source must hold for it to read earlier thoughts in this form
_FORMS: Mapping[ReasoningForm, str] = {
    "reasoning_content": "reasoning_content",
    "reasoning": "reasoning",
    "thinking": "thinking",
    "part": "thinking",
    "blocks": "blocks",
}


def find_thought_form(trial: Trial, source: str, *, has_calls: bool) -> Thought | None:
    """The form of earlier thoughts, and the markers around them."""
    for form, sign in _FORMS.items():
        if sign not in source:
            continue
        said = replace(trial.said, reasoning=form)
        texts = [text for text in _think(trial, said, has_calls) if THOUGHT in text]
        thought = _find_markers(trial, texts)
        is_field = form not in ("part", "blocks")  # other templates write those out as lists
        if not texts or (thought is None and not is_field):
            continue
        trial.said = said
        if has_calls:
            _find_thought_beside_calls(trial)
        return thought
    return None


def _find_markers(trial: Trial, texts: Sequence[str]) -> Thought | None:
    prompt = trial.ask(USER)
    for text in texts:
        before, _, after = text.partition(THOUGHT)
        if thought := find_thought(before, after, prompt):
            return thought
    return None


def _think(trial: Trial, said: Conventions, has_calls: bool) -> Iterable[str]:
    """Prompts of conversations whose last thought should be kept."""
    answer = replace(ANSWER, reasoning=THOUGHT)
    yield trial.ask(USER, answer, said=said, generation=False)
    if has_calls:
        calling = replace(CALLING, reasoning=THOUGHT)
        yield trial.ask(USER, calling, RESULTS[0], said=said, tools=TOOLS)
    yield trial.ask(USER, answer, AGAIN, said=said)


def _find_thought_beside_calls(trial: Trial) -> None:
    calling = replace(CALLING, content="sentinelanswer", reasoning=THOUGHT)
    if not trial.ask(USER, calling, RESULTS[0], tools=TOOLS):
        said = replace(trial.said, joins_reasoning=True)
        if trial.ask(USER, calling, RESULTS[0], said=said, tools=TOOLS):
            trial.said = said
