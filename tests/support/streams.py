"""Reading an engine's streams one output after the other."""

from collections.abc import AsyncIterator

from app.engine.engine import OutputStream
from app.engine.messages import Output


async def outputs_of(stream: OutputStream) -> AsyncIterator[Output]:
    """Until the stream ends."""
    while True:
        outputs = stream.take()
        for output in outputs:
            yield output
        if not outputs:
            if stream.is_closed:
                return
            stream.news.clear()
            await stream.news.wait()
