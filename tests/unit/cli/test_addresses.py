"""Where a server is, what models are called, and how numbers are written."""

import socket
import time

import pytest

from app.cli.address import Address, choose_address, make_url
from app.cli.names import explain_unknown, names_of
from app.cli.refusal import BadConfiguration
from app.cli.table import show_table, write_age, write_count, write_size, write_wait


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORRAL_URL", "LLM_API_KEY", "LLM_HOST", "LLM_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_flag_before_variable_before_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_address(None, None) == Address("http://127.0.0.1:11434")
    monkeypatch.setenv("LLM_HOST", "0.0.0.0")
    monkeypatch.setenv("LLM_SERVER_PORT", "8080")
    monkeypatch.setenv("LLM_API_KEY", "k")
    assert choose_address(None, None) == Address("http://127.0.0.1:8080", "k")
    monkeypatch.setenv("CORRAL_URL", "box:80/v1/")
    assert choose_address(None, "l") == Address("http://box:80", "l", is_chosen=True)
    chosen = Address("https://x/corral", "k", is_chosen=True)
    assert choose_address("https://x/corral", None) == chosen
    assert not chosen.is_local


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", "http://[::1"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(BadConfiguration, match="is not the address of a server"):
        choose_address(url, None)


def test_urls_of_hosts() -> None:
    assert make_url("::", 1) == "http://[::1]:1"
    assert make_url("10.0.0.1", 80) == "http://10.0.0.1:80"
    assert Address("http://localhost:1").is_local
    assert Address("http://127.9.9.9:1").is_local


def test_who_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert Address(url).is_listening
    assert not Address(url).is_listening


def test_what_comes_near_a_name() -> None:
    known = names_of([{"id": "corral-tiny", "aliases": ["tiny"]}, {"id": "x"}])
    assert known == ["corral-tiny", "tiny", "x"]
    assert explain_unknown("corral-tini", known).endswith("near it: corral-tiny")
    assert "`corral pull qwen3-4b` brings it" in explain_unknown("qwen3-4b", known)
    assert "qwen3-4b (`corral pull qwen3-4b`)" in explain_unknown("qwen3-4c", known)
    assert "`corral pull hf://a/b/c.gguf`" in explain_unknown("hf://a/b/c.gguf", known)
    assert "`corral list`" in explain_unknown("zzzzzzzz", known)


def test_numbers() -> None:
    assert [write_size(size) for size in (0, 999, 4_368_438_272)] == ["0 B", "999 B", "4.4 GB"]
    assert [write_count(number) for number in (None, 12, 4_328_704)] == ["", "12", "4.3M"]
    now = time.time()
    assert [write_age(moment) for moment in (0, now, now - 3700, now - 86_400 * 3)] == [
        "",
        "just now",
        "1 hour ago",
        "3 days ago",
    ]
    assert [write_wait(seconds) for seconds in (-1, 1, 250)] == [
        "in 0 seconds",
        "in 1 second",
        "in 4 minutes",
    ]


def test_tables_cut_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("A", "B"), [("long name", "x"), ("y", "")])
    assert capsys.readouterr().out == "A           B\nlong name   x\ny\n"
