from pathlib import Path

import pytest

from app.cli.bench.plot import draw
from tests.unit.cli.bench.samples import SLOWER, report


@pytest.mark.parametrize("runs", [1, 2])
def test_svg_is_the_same_every_time(tmp_path: Path, runs: int) -> None:
    reports = [report(), report("Other", SLOWER)][:runs]
    paths = [tmp_path / name for name in ("a.svg", "b.svg")]
    for path in paths:
        draw(reports, path)
    texts = [path.read_text() for path in paths]
    assert texts[0] == texts[1]
    assert texts[0].startswith("<?xml")


def test_png(tmp_path: Path) -> None:
    draw([report()], tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
