"""The application as an ASGI server wants it: `uvicorn --factory app.main:create_app`.

`corral serve` is the better way to run it: it drains on SIGTERM and explains what is wrong.
"""

from starlette.applications import Starlette

from app.config.settings import Settings, load_settings
from app.wiring import build_service


def create_app(settings: Settings | None = None) -> Starlette:
    """A new, independent application. Raises ConfigurationError."""
    return build_service(settings or load_settings()).app
