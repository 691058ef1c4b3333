"""Scores a GGUF on the held-out wordings, through llama.cpp and at temperature 0."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_cpp import Llama

from .chat import END_OF_TEXT, render
from .corpus import QUESTIONS, normalise

HELD_OUT = Path(__file__).with_name("heldout.json")
MAX_TOKENS = 320
_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """One held-out case, what the model said to it, and whether that was right."""

    case: dict[str, Any]
    answer: str
    right: bool


def held_out() -> dict[str, list[dict[str, Any]]]:
    """The fixed lists: `phrasings`, `weather` and `demanded`."""
    return json.loads(HELD_OUT.read_text(encoding="utf-8"))


def has_questions(folder: Path) -> bool:
    """Whether the questions of the training data lie there."""
    return (folder / QUESTIONS).exists()


def assert_unseen(folder: Path) -> None:
    """Fail when a held-out wording was a question, or part of one, in training."""
    seen = json.loads((folder / QUESTIONS).read_text(encoding="utf-8"))
    whole, text = set(seen), "\n".join(seen)
    for case in [*held_out()["phrasings"], *held_out()["weather"]]:
        wording = normalise(case["messages"][-1]["content"])
        follows_up = len(case["messages"]) > 2
        if wording in whole or (not follows_up and wording in text):
            raise AssertionError(f"seen in training: {wording}")


def answer(model: Llama, case: dict[str, Any]) -> str:
    """The model's greedy answer to a case."""
    prompt = render(case["messages"], case.get("tools"), generation=True)
    tokens = model.tokenize(prompt.encode(), add_bos=False, special=True)
    ends = {model.token_eos(), *model.tokenize(END_OF_TEXT.encode(), add_bos=False, special=True)}
    said: list[int] = []
    for token in model.generate(tokens, temp=0.0, repeat_penalty=1.0):
        if token in ends or len(said) == MAX_TOKENS:
            break
        said.append(token)
    return model.detokenize(said, special=True).decode(errors="replace")


def _called(text: str, expected: dict[str, Any]) -> bool:
    found = _CALL.search(text)
    if not found:
        return False
    try:
        call = json.loads(found[1])
    except ValueError:
        return False
    return normalise(json.dumps(call)) == normalise(json.dumps(expected))


def judge(case: dict[str, Any], text: str) -> bool:
    """Whether an answer has all that is expected and nothing that is rejected."""
    flags = re.IGNORECASE | re.DOTALL
    if not all(re.search(pattern, text, flags) for pattern in case["expect"]):
        return False
    if any(re.search(pattern, text, flags) for pattern in case.get("reject", ())):
        return False
    if "call" in case:
        return _called(text, case["call"])
    if case["expect"][0].startswith("^"):
        try:
            json.loads(text)
        except ValueError:
            return False
    return True


def score(gguf: Path) -> dict[str, list[Verdict]]:
    """Every held-out case with its verdict, by list."""
    model = Llama(str(gguf), n_ctx=1024, n_threads=2, verbose=False)
    verdicts: dict[str, list[Verdict]] = {}
    for name, cases in held_out().items():
        verdicts[name] = []
        for case in cases:
            text = answer(model, case)
            verdicts[name].append(Verdict(case, text, judge(case, text)))
    return verdicts


def report(gguf: Path) -> None:
    """Print the wrong answers, then how many of each list were right."""
    verdicts = score(gguf)
    for name, rows in verdicts.items():
        for row in rows:
            if not row.right:
                print(f"{name}: {row.case['messages'][-1]['content']!r} -> {row.answer!r}")
    for name, rows in verdicts.items():
        print(f"{name}: {sum(row.right for row in rows)} of {len(rows)}")
