"""Pure ASGI middleware: request context, access, body bounds, drain."""
