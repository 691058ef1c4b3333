"""Damaged model files: the server survives each one and says what is wrong with it.

`CORRAL_MUTATIONS=2000` tries as many; a few are enough to see that the guard stands.
"""

import os
from collections import Counter
from pathlib import Path

from scripts.make_gguf import write_tiny_llama
from tests.support.mutations import mutate
from tests.support.server import serve

COUNT = int(os.environ.get("CORRAL_MUTATIONS", "24"))
QUESTION = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}


def header_size(path: Path) -> int:
    import gguf  # noqa: PLC0415  # slow

    return int(gguf.GGUFReader(path).data_offset)


def test_the_server_survives_damaged_files(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    good = tmp_path / "good.gguf"
    write_tiny_llama(good)
    data, header = good.read_bytes(), header_size(good)
    done: dict[str, str] = {}
    for seed in range(COUNT):
        name = f"m{seed:05d}"
        done[name], damaged = mutate(data, header, seed)
        (models / f"{name}.gguf").write_bytes(damaged)
    outcomes: Counter[tuple[str, str]] = Counter()
    with serve(tmp_path, LLM_PRELOAD="none", LLM_MAX_LOADED_MODELS="1") as server:
        for name, damage in done.items():
            answer = server.client.post(
                f"{server.base_url}/chat/completions", json={"model": name, **QUESTION}
            )
            body = answer.json()
            if answer.status_code == 200:
                outcomes[damage, "served"] += 1
                continue
            error = body["error"]
            assert error["code"] not in {"internal_error", "engine_failed"}, (name, damage, body)
            assert "log lines say why" not in error["message"], (name, damage, body)
            print(f"{name}: {damage}: {error['code']}: {error['message']}")
            outcomes[damage, error["code"]] += 1
        server.assert_no_alarm()
        assert server.get("/livez").status_code == 200
    for (damage, outcome), count in sorted(outcomes.items()):
        print(f"{damage:24} {outcome:24} {count}")
    assert sum(outcomes.values()) == COUNT
    assert len({outcome for _, outcome in outcomes}) > 1, "nothing was refused, or everything"
