"""Which template speaks which format."""

from app.chat.formats.argument_pairs import ARGUMENT_PAIRS
from app.chat.formats.channels import CHANNELS
from app.chat.formats.chat_format import ChatFormat
from app.chat.formats.gemma import FUNCTION_GEMMA, GEMMA_4
from app.chat.formats.json_objects import HERMES, JSON_OBJECTS
from app.chat.formats.named_arguments import NAMED_ARGUMENTS
from app.chat.formats.nested_xml import MINIMAX_M3
from app.chat.formats.python_lists import PYTHON_LISTS
from app.chat.formats.tagged_parameters import TAGGED_PARAMETERS

# Where a template has the signs of several, the earlier one is meant: the more particular first.
# Most templates that write tagged parameters also have the signs of JSON objects.
FORMATS: tuple[ChatFormat, ...] = (
    *CHANNELS,
    GEMMA_4,
    FUNCTION_GEMMA,
    *NAMED_ARGUMENTS,
    *TAGGED_PARAMETERS,
    *ARGUMENT_PAIRS,
    MINIMAX_M3,
    *PYTHON_LISTS,
    *JSON_OBJECTS,
)
BY_NAME = {one.name: one for one in FORMATS}


def find_format(template: str, name: str | None = None) -> ChatFormat:
    """The format with this name of `BY_NAME`, or that of a template by its source; for a template
    that says nothing the most common one."""
    if name is not None:
        return BY_NAME[name]
    return next((one for one in FORMATS if one.is_spoken_by(template)), HERMES)
