"""How far a download is: what is here stays here while it is verified."""

import pytest

from app.core.pulls import PullJob, PullProgress, PullStage


@pytest.mark.parametrize(
    ("stage", "done", "size", "here"),
    [
        ("resolving", 0, None, 0),
        ("downloading", 3, None, 3),
        ("downloading", 3, 8, 3),
        ("verifying", 0, 8, 8),
        ("verifying", 5, 8, 8),
        ("done", 8, 8, 8),
        ("done", 8, None, 8),
    ],
)
def test_bytes_that_are_here(stage: PullStage, done: int, size: int | None, here: int) -> None:
    file = PullProgress("m.gguf", stage, done, size)
    assert file.here == here
    other = PullProgress("n.gguf", "downloading", 2, 4)
    job = PullJob("pull_1", "m", "downloading", (file, other), 0.0)
    assert job.done == here + 2
    assert job.share == (None if size is None else (here + 2) / (size + 4))
