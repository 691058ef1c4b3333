from pathlib import Path

from scripts.bench_page import Setup, render
from tests.unit.cli.bench.samples import SLOWER, report


def test_the_page_says_what_is_worse_first() -> None:
    setup = Setup([("CPU", "two slow cores")])
    page = render([report(), report("Other", SLOWER)], setup, "plot.svg")
    assert "2026-01-02" in page
    assert "| CPU | two slow cores |" in page
    assert "(plot.svg)" in page
    assert "| decode | 4 | Other | 2.00 | 128.0 |" in page
    assert "- decode, 4 streams: TTFT p50 2.00" in page.split("### Worse")[1].split("### Better")[0]
    assert "- decode, 4 streams: output tok/s 2.00" in page.split("### Better")[1]


def test_one_server_alone_has_no_comparison() -> None:
    page = render([report(messages=["HTTP 500: oh"])], Setup([]), "plot.svg")
    assert "against" not in page
    assert "- Corral: decode, 4 streams: HTTP 500: oh" in page


def test_this_machine_is_described(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"x" * 2_000_000)
    facts = dict(Setup.of_this_machine(model, "random weights", 2, None, []).facts)
    assert "2 threads" in facts["CPU"]
    assert facts["Model"] == "`model.gguf`, 2.0 MB, random weights"
    assert "llama-cpp-python 0.3" in facts["Corral"]
