from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.bench.results import Report
from app.cli.bench.stats import Figures, Row
from scripts.bench.page import describe_machine, render
from scripts.bench.store import Store
from scripts.bench.targets import (
    BATCHED,
    CORRAL,
    CORRAL_SPLIT,
    PEER,
    PEER_SPLIT,
    Line,
    target_lines,
)
from tests.unit.cli.bench.samples import FIGURES, report


def with_rows(label: str, *rows: tuple[str, int, Figures]) -> Report:
    found = [Row(name, streams, [figures] * 3) for name, streams, figures in rows]
    return replace(report(label), rows=found)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "x.json", [("CPU", "two slow cores")], report().parameters)


def line(store: Store, title: str) -> Line:
    return next(line for line in target_lines(store) if line.title == title)


def test_a_target_is_a_ratio_to_the_better_peer(store: Store) -> None:
    slow = replace(FIGURES, output_tokens_per_s=200.0)
    fast = replace(FIGURES, output_tokens_per_s=220.0)
    store.add_report(with_rows(CORRAL, ("decode", 16, FIGURES)))
    store.add_report(with_rows(PEER, ("decode", 16, slow)))
    found = line(store, "decode, 16 streams")
    assert (found.figure, found.peer) == ("256.0 tok/s", "200.0 tok/s")
    assert (found.ratio, found.target, found.verdict) == ("1.280", "at least 1.2", "met")
    store.add_report(with_rows(PEER_SPLIT, ("decode", 16, fast)))
    found = line(store, "decode, 16 streams")
    assert (found.peer, found.ratio, found.verdict) == ("220.0 tok/s ¹", "1.164", "**missed**")


def test_of_corral_stands_the_cache_with_the_higher_rate(store: Store) -> None:
    peer = replace(FIGURES, prompt_tokens_per_s=100.0, ttft_p50_ms=100.0)
    slow = replace(FIGURES, prompt_tokens_per_s=110.0, ttft_p50_ms=80.0)
    fast = replace(FIGURES, prompt_tokens_per_s=120.0, ttft_p50_ms=90.0)
    store.add_report(with_rows(PEER, ("prefill", 4, peer)))
    for whole, split, mark in ((slow, fast, " ¹"), (fast, slow, "")):
        store.reports.pop(CORRAL, None)
        store.reports.pop(CORRAL_SPLIT, None)
        store.add_report(with_rows(CORRAL, ("prefill", 4, whole)))
        store.add_report(with_rows(CORRAL_SPLIT, ("prefill", 4, split)))
        rate = line(store, "unique prompts, 4 at once: prompt tokens")
        assert (rate.figure, rate.ratio) == (f"120.0 tok/s{mark}", "1.200")
        first = line(store, "unique prompts: TTFT p50")
        assert (first.figure, first.ratio) == (f"90.0 ms{mark}", "0.900"), "of the same server"


def test_a_ratio_is_that_of_neighbours(store: Store) -> None:
    passes = [(100.0, 90.0), (50.0, 40.0), (200.0, 190.0)]  # the machine's speed changes
    for side, label in enumerate((CORRAL, PEER)):
        rows = [replace(FIGURES, output_tokens_per_s=speeds[side]) for speeds in passes]
        store.add_report(replace(report(label), rows=[Row("decode", 16, rows)]))
    assert line(store, "decode, 16 streams").ratio == "1.111"
    store.add_report(with_rows(PEER, ("decode", 16, FIGURES)))  # passes without a neighbour
    assert line(store, "decode, 16 streams").ratio == "0.448"


def test_a_latency_has_to_be_low(store: Store) -> None:
    peer = replace(FIGURES, ttft_p50_ms=150.0)
    store.add_report(with_rows(CORRAL, ("prefill", 4, FIGURES)))
    store.add_report(with_rows(PEER, ("prefill", 4, peer)))
    store.add_report(with_rows(PEER_SPLIT, ("prefill", 4, replace(peer, ttft_p50_ms=170.0))))
    found = line(store, "unique prompts: TTFT p50")
    assert (found.figure, found.peer, found.ratio) == ("120 ms", "150 ms", "0.800")
    assert (found.target, found.is_met) == ("at most 0.75", False)


def test_what_was_not_measured_is_not_met(store: Store) -> None:
    found = line(store, "decode, 1 stream")
    assert (found.figure, found.peer, found.ratio) == ("-", "-", "-")
    assert found.verdict == "not measured"
    assert all(line.is_met is None for line in target_lines(store))


def test_shares_of_its_own_speed(store: Store) -> None:
    figures = replace(FIGURES, plain_tokens_per_s=260.0, steady_tokens_per_s=95.0)
    rows = [("json-schema", 4, figures), ("decode", 16, figures)]
    store.add_report(with_rows(CORRAL, *rows))
    store.add_fact(BATCHED, "tok/s", 98.0)
    store.add_fact(BATCHED, "tok/s", 102.0)
    found = line(store, "JSON schema, 4 at once, of its own speed without")
    assert (found.peer, found.ratio, found.is_met) == ("260.0 tok/s ²", "0.985", True)
    found = line(store, "decode rate, 16 streams, of `llama-batched-bench`")
    assert (found.peer, found.ratio, found.is_met) == ("100.0 tok/s ³", "0.950", True)


@pytest.mark.parametrize(("value", "is_met"), [(0.49, True), (0.51, False)])
def test_absolute_targets(store: Store, value: float, is_met: bool) -> None:
    store.add_fact(CORRAL, "idle cpu %", value)
    store.add_fact(PEER, "idle cpu %", 0.0)
    found = line(store, "processor time when idle, of one core")
    assert (found.peer, found.ratio, found.is_met) == ("0.00 %", "-", is_met)


def test_the_page_shows_targets_and_figures(store: Store) -> None:
    store.add_report(with_rows(CORRAL, ("decode", 4, FIGURES)))
    store.add_report(with_rows(PEER, ("decode", 4, replace(FIGURES, output_tokens_per_s=128.0))))
    page = render(store, "plot.svg")
    assert "2026-01-02" in page
    assert "median of 3 passes." in page
    assert "| CPU | two slow cores |" in page
    assert "(plot.svg)" in page
    assert "1 met, 0 missed, 24 not measured." in page
    decode = "| decode, 4 streams | 256.0 tok/s | 128.0 tok/s | 2.000 | at least 1.12 | met |"
    assert decode in page
    assert "| decode | 4 | llama-server | 2.00 | 128.0 |" in page
    assert "What went wrong" not in page


def test_the_page_tells_what_went_wrong(store: Store) -> None:
    store.add_report(with_rows(CORRAL, ("decode", 4, FIGURES)))
    store.add_problem("Corral: the server ended")
    store.add_problem("Corral: the server ended")
    assert render(store, "plot.svg").count("- Corral: the server ended") == 1


def test_this_machine_is_described(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"x" * 2_000_000)
    facts = dict(describe_machine(model, "random weights", model, 2, None))
    assert "2 threads" in facts["CPU"]
    assert facts["Model"] == "`model.gguf`, 2.0 MB, random weights"
    assert facts["Small model"] == "`model.gguf`, 2.0 MB"
    assert "llama-cpp-python 0.3" in facts["Corral"]
