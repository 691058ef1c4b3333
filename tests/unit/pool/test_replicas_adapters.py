"""Replicas and adapters: what was computed under others brings nobody to an engine."""

from app.core.adapters import NO_ADAPTERS, AdapterSet, make_set
from app.core.requests import SamplingParams
from app.engine.engine import Engine
from app.engine.messages import EngineConfig, SequenceSpec
from app.pool.replicas import Replicas
from tests.support.fake_runtime import FakeRuntime, traits

PROMPT = tuple([3, 1, 4, 1, 5, 9, 2, 6] * 20)
SQL = make_set([("sql", 1.0)])


async def test_a_request_goes_to_the_engine_that_has_its_beginning_under_its_adapters() -> None:
    runtimes = [FakeRuntime(kv_size=2000, memory=traits(size=2000)) for _ in range(2)]
    for runtime in runtimes:
        runtime.gate.clear()  # nothing ends while the requests are sent
    config = EngineConfig(adapters=("sql",))
    engines = [Engine(runtime, config).start() for runtime in runtimes]
    replicas = Replicas(engines, None)

    def send(name: str, adapters: AdapterSet) -> list[int]:
        params = SamplingParams(temperature=0)
        replicas.submit((SequenceSpec(name, PROMPT, 4, params, adapters=adapters),))
        return [engine.load for engine in engines]

    assert send("base", NO_ADAPTERS) == [1, 0]
    assert send("adapted", SQL) == [1, 1], "to the one that has less to do"
    assert send("adapted too", SQL) == [1, 2], "to the one that has its beginning"
    assert send("base too", NO_ADAPTERS) == [2, 2]
    for runtime in runtimes:
        runtime.gate.set()
    await replicas.close()
