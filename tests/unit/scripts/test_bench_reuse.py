import time
from os import getpid

from app.cli.bench.records import ChatRequest
from scripts.bench.plan import BUILT_IN
from scripts.bench.process import PeakMemory, cpu_seconds, resident_bytes
from scripts.bench.reuse import Prompts, SeenTokens, count_unique


def tokens(text: str) -> list[bytes]:
    return [letter.encode() for letter in text]


def test_only_what_follows_a_new_beginning_is_new() -> None:
    seen = SeenTokens()
    assert [seen.add(tokens(text)) for text in ("abc", "abd", "abc", "bc", "")] == [3, 1, 0, 2, 0]


def test_a_shared_prefix_is_counted_once() -> None:
    prompts = [tokens(f"the same{tail}") for tail in "xyz"]
    assert count_unique((prompt, ()) for prompt in prompts) == len("the same") + 3


def test_generated_tokens_are_known_but_for_the_last() -> None:
    first, answer = tokens("hello"), tokens("yes!")
    second = [*first, *answer, *tokens("more")]
    assert count_unique([(first, answer), (second, ())]) == len("hello" + "!" + "more")


def test_an_answer_that_is_cut_otherwise_in_the_next_prompt_is_new() -> None:
    first = tokens("hello")
    second = [*first, b"yes!", *tokens("more")]
    assert count_unique([(first, tokens("yes!")), (second, ())]) == len("hello") + 1 + len("more")


def test_prompts_are_cut_as_the_model_does() -> None:
    prompts = Prompts.of(BUILT_IN)
    request = ChatRequest([{"role": "user", "content": "Hello there"}], 1)
    found = prompts.tokens(request)
    again = ChatRequest(
        [*request.messages, {"role": "assistant", "content": "Yes"}, *request.messages], 1
    )
    longer = prompts.tokens(again)
    prompts.model.close()
    assert b"Hello there" in b"".join(found)
    assert longer[: len(found)] == found


def test_a_process_is_seen_at_work() -> None:
    with PeakMemory(getpid()) as memory:
        before = cpu_seconds(getpid())
        block = bytearray(b"x" * 50_000_000)
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            pass
    assert cpu_seconds(getpid()) - before >= 0.05
    assert memory.growth >= 0.8 * len(block)
    assert resident_bytes(getpid()) > len(block)
