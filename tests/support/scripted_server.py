"""The real service on a real socket, with the scripted runtime in the place of llama.cpp's:

    LLM_SERVER_PORT=11434 python -m tests.support.scripted_server

Settings come from the environment, as for `corral serve`.
"""

import uvicorn

from app.config.settings import load_settings
from app.telemetry.logging import configure_logging
from app.wiring import build_service
from tests.support.scripted_runtime import ScriptedRuntime


def main() -> None:
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    service = build_service(settings, make_runtime=ScriptedRuntime)
    uvicorn.run(
        service.app,
        host=settings.host,
        port=settings.server_port,
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
