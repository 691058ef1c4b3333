"""How models mark their thinking."""

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
