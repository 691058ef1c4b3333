"""`corral run` and `corral chat` in real terminals and pipes, with a live server and without."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.cli import CORRAL, corral, environment, open_terminal
from tests.support.server import MODEL, SCRIPTED, Server, serve, wait_until

PROMPT = ">>>"
SCHEMA = {
    "type": "object",
    "properties": {"a": {"enum": ["b"]}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("scripted"), SCRIPTED) as running:
        yield running


def test_a_conversation_in_a_terminal(scripted: Server, tmp_path: Path) -> None:
    with open_terminal(tmp_path, "chat", url=scripted.url) as terminal:
        terminal.expect(f"{MODEL} · /help for help")
        terminal.expect(PROMPT)
        terminal.enter("say A **bold** word")
        terminal.expect("A bold word")
        assert "\x1b[1mbold" in terminal.shown
        terminal.expect(PROMPT)
        terminal.type("say one\x1b\r")  # Alt-Enter
        terminal.enter("say two")
        terminal.expect("one\r\ntwo\r\n")
        terminal.expect(PROMPT)
        terminal.enter('"""say in a block')
        terminal.expect("... ")
        terminal.enter('say of lines"""')
        terminal.expect("in a block\r\nof lines\r\n")
        terminal.enter("/set parameter temperature 0.5")
        terminal.expect("temperature is 0.5")
        terminal.enter("/stats")
        terminal.expect("3 answers · prompts")
        terminal.enter(f"/save {MODEL}")
        terminal.expect("take another name")
        terminal.enter("/save mine")
        terminal.expect("saved as")
        terminal.enter("/clear")
        terminal.expect("begins anew")
        terminal.enter("/load mine")
        terminal.expect(f"going on with mine: 3 answers of {MODEL}")
        terminal.enter("/lod x")
        terminal.expect("did you mean /load?")
        terminal.enter("/load nobody")
        terminal.expect("there is no model 'nobody'")
        terminal.enter("/bye")
        assert terminal.wait() == 0
    saved = json.loads((tmp_path / "state/corral/sessions/mine.json").read_text())
    assert [message["role"] for message in saved["messages"]] == ["user", "assistant"] * 3
    assert saved["parameters"] == {"temperature": 0.5}


def test_history_outlives_the_session(scripted: Server, tmp_path: Path) -> None:
    with open_terminal(tmp_path, "run", MODEL, url=scripted.url) as terminal:
        terminal.expect(PROMPT)
        terminal.enter("say Something to remember")
        terminal.expect("Something to remember\r\n")
        terminal.expect(PROMPT)
        terminal.type("\x04")  # Ctrl-D
        assert terminal.wait() == 0
    with open_terminal(tmp_path, "run", MODEL, url=scripted.url) as terminal:
        terminal.expect(PROMPT)
        terminal.type("\x1b[A")  # up
        terminal.expect("say Something to remember")
        terminal.type("\x03")  # clears the line
        terminal.type("\x03")
        terminal.expect("Ctrl-C again, or Ctrl-D, to leave")
        terminal.type("\x03")
        assert terminal.wait() == 0


def test_thoughts_are_folded_where_wanted(scripted: Server, tmp_path: Path) -> None:
    with open_terminal(tmp_path, "chat", "--hide-thoughts", url=scripted.url) as terminal:
        terminal.expect(PROMPT)
        terminal.type("think a secret\x1b\r")
        terminal.enter("say An answer")
        terminal.expect("thought for ")
        terminal.expect("An answer")
        assert "a secret" not in terminal.plain.partition("thought for ")[2]
        terminal.enter("/set thoughts show")
        terminal.expect("thoughts are shown")
        terminal.type("think my secret\x1b\r")
        terminal.enter("say More")
        terminal.expect("⠋ waiting")
        terminal.expect("my secret\r\n")
        terminal.expect("More\r\n")


def test_names_are_completed(server: Server, tmp_path: Path) -> None:
    with open_terminal(tmp_path, "chat", "-m", "random", url=server.url) as terminal:
        terminal.expect("lab/random:tiny · /help")
        terminal.expect(PROMPT)
        terminal.type("/mod\t")
        terminal.expect("/model")
        terminal.type("\x03")
        terminal.type("/model cor\t")
        terminal.expect("ral-tiny")
        terminal.type("\r")
        terminal.expect("the model is corral-tiny")


def test_ctrl_c_stops_the_answer_on_the_server_too(server: Server, tmp_path: Path) -> None:
    running = "corral_requests_running"
    aborted = server.metrics().value("corral_requests_total", outcome="abort")
    with open_terminal(tmp_path, "chat", "-p", "min_tokens=20000", url=server.url) as terminal:
        terminal.expect(PROMPT)
        terminal.enter("Why is the sky blue?")
        wait_until(lambda: server.metrics().value(running) == 1, "the answer to begin")
        terminal.expect(" ", 10)
        terminal.type("\x03")
        terminal.expect("(stopped")
        wait_until(lambda: server.metrics().value(running) == 0, "the generation to end", 5)
        assert server.metrics().value("corral_requests_total", outcome="abort") == aborted + 1
        terminal.enter("/set parameter min_tokens 1")
        terminal.expect("min_tokens is 1")
        terminal.enter("Why is the sky blue?")
        terminal.expect("eyes from everywhere.")
        terminal.expect(PROMPT)
        terminal.enter("/bye")
        assert terminal.wait() == 0


def test_a_pipe_gets_plain_text(scripted: Server, tmp_path: Path) -> None:
    done = corral(tmp_path, "run", MODEL, url=scripted.url, given="say **hi**\n")
    assert (done.stdout, done.stderr, done.returncode) == ("**hi**\n", "", 0)
    asked = corral(tmp_path, "run", MODEL, "say", "from", "words", url=scripted.url)
    assert asked.stdout == "from words\n"
    joined = corral(tmp_path, "run", MODEL, "say first", url=scripted.url, given="say second\n\n")
    assert joined.stdout == "first\nsecond\n"
    empty = corral(tmp_path, "run", MODEL, url=scripted.url, given="\n")
    assert empty.returncode == 2
    assert "give a PROMPT, or pipe one in" in empty.stderr


def test_json(scripted: Server, tmp_path: Path) -> None:
    script = "think hm\nsay yes"
    done = corral(tmp_path, "run", MODEL, "--json", url=scripted.url, given=script)
    told = json.loads(done.stdout)
    assert (told["content"], told["thinking"], told["finish_reason"]) == ("yes", "hm", "stop")
    assert told["usage"]["prompt_tokens"] > 0
    assert told["timings"]["total_seconds"] > 0
    lines = corral(tmp_path, "run", MODEL, "--ndjson", url=scripted.url, given=script)
    pieces = [json.loads(line) for line in lines.stdout.splitlines()]
    assert "".join(piece.get("content", "") for piece in pieces[:-1]).strip() == "yes"
    assert "".join(piece.get("thinking", "") for piece in pieces[:-1]).strip() == "hm"
    assert pieces[-1]["content"] == "yes"


def test_how_it_answers(server: Server, tmp_path: Path) -> None:
    """Against the real model: format, sampling and limits arrive."""
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    url = server.url
    held = corral(tmp_path, "run", MODEL, "hi", "--format", "s.json", url=url)
    assert json.loads(held.stdout) == {"a": "b"}
    said = ["run", MODEL, "Tell me a story.", "--seed", "7", "--temperature", "1.5", "--json"]
    first, again = (corral(tmp_path, *said, "--max-tokens", "12", url=url) for _ in range(2))
    assert json.loads(first.stdout)["content"] == json.loads(again.stdout)["content"]
    assert json.loads(first.stdout)["finish_reason"] == "length"
    assert json.loads(first.stdout)["usage"]["completion_tokens"] == 12
    verbose = corral(tmp_path, "run", MODEL, "hi", "--verbose", url=url)
    assert "tokens" not in verbose.stdout
    assert "prompt " in verbose.stderr


def test_keep_alive(start: Start, tmp_path: Path) -> None:
    running = start()
    for said, stays in (("5m", True), ("0", False)):
        done = corral(tmp_path, "run", MODEL, "hi", "--keep-alive", said, url=running.url)
        assert done.returncode == 0, done.stderr
        rows = json.loads(running.get("/api/ps").text)["models"]
        assert bool(rows) == stays
        assert all(not row["expires_at"].startswith("2999") for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run", "corral-tin", "hi"], 1, "there is no model 'corral-tin'; near it: corral-tiny"),
        (["run", "qwen3-4b", "hi"], 1, "`corral pull qwen3-4b` brings it"),
        (["run", MODEL, "hi", "--temperature", "9"], 2, "temperature: 9 is not between 0 and 5"),
        (["run", MODEL, "hi", "-p", "top_kk=1"], 2, "did you mean top_k?"),
        (["run", MODEL, "hi", "--format", "none.json"], 2, "none.json: cannot be read"),
        (["run", MODEL, "hi", "--keep-alive", "soon"], 2, "--keep-alive soon: must be a number"),
        (["run", "bert", "hi"], 1, "bert"),
        (["chat"], 2, "a chat needs a terminal"),
    ],
)
def test_mistakes_are_one_line(
    server: Server, tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    done = corral(tmp_path, *arguments, url=server.url)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("corral: ")
    assert text in line


def test_an_engine_in_this_process(tmp_path: Path) -> None:
    done = corral(tmp_path, "run", MODEL, "Why is the sky blue?")
    assert done.returncode == 0, done.stderr
    assert "sky is blue" in done.stdout
    assert done.stderr == ""
    unknown = corral(tmp_path, "run", "corral-tin", "hi")
    assert unknown.returncode == 1
    assert "near it: corral-tiny" in unknown.stderr


def test_an_engine_in_this_process_in_a_terminal(tmp_path: Path) -> None:
    with open_terminal(tmp_path, "run", MODEL) as terminal:
        terminal.expect("loading corral-tiny")
        terminal.expect(PROMPT)
        terminal.enter("Why is the sky blue?")
        terminal.expect("sky is blue")
        terminal.expect(PROMPT)
        terminal.enter("/set parameter min_tokens 20000")
        terminal.expect("is 20000")
        terminal.enter("Why?")
        terminal.expect("\n")
        terminal.expect(" s")  # of the wheel, or of words
        terminal.type("\x03")
        terminal.expect("(stopped")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.wait() == 0


def test_an_interrupt_has_its_own_exit_code(tmp_path: Path) -> None:
    """In a script Ctrl-C ends the command."""
    process = subprocess.Popen(
        [CORRAL, "run", MODEL, "Why?", "-p", "min_tokens=20000"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout is not None
    assert process.stdout.read(5), "it answers"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert errors == b""
