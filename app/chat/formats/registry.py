"""Which template speaks which format."""

from app.chat.formats.channels import CHANNELS
from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.json_objects import HERMES, JSON_OBJECTS

# Where a template has the signs of several, the earlier one is meant: the more particular first.
# Most templates that write tagged parameters also have the signs of JSON objects.
FORMATS: tuple[ChatFormat, ...] = (*CHANNELS, *JSON_OBJECTS)


def find_format(template: str) -> ChatFormat:
    """The format of a template, by its source; for one that says nothing the most common one."""
    return next((one for one in FORMATS if one.is_spoken_by(template)), HERMES)
