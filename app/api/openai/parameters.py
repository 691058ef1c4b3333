"""OpenAI parameters that are not offered: accepted without effect, or refused, and why.

Those of responses that other routes have too stand in the first two tables.

docs/compatibility.md repeats these tables; a test compares them.
"""

from collections.abc import Mapping

NO_EFFECT: Mapping[str, str] = {
    "prompt_cache_key": "Equal beginnings of prompts are found without a name for them.",
    "prompt_cache_retention": "What the prefix cache keeps is bounded by size, not by time.",
    "verbosity": "Models here are not trained to read it; say it in a message.",
}

REFUSED: Mapping[str, str] = {
    "audio": "Models here write text only.",
    "chat_template": "A model's template is chosen in models.yaml.",
    "functions": "It is the old form of 'tools'; send 'tools'.",
    "function_call": "It is the old form of 'tool_choice'; send 'tool_choice'.",
    "web_search_options": "This service does not search the web.",
    "moderation": "This service does not moderate.",
}

NO_EFFECT_IN_RESPONSES: Mapping[str, str] = {
    "access_programs": "There are no such programs here.",
    "background_options": "What runs in the background starts as soon as there is a place.",
    "client_metadata": "It is for the client's own service.",
    "image": "Models here write text only.",
    "max_tool_calls": "It counts calls of built-in tools, of which there are none.",
    "prompt_cache_options": "Equal beginnings of prompts are found without being told.",
}

REFUSED_IN_RESPONSES: Mapping[str, str] = {
    "context_management": "Nothing is compacted; send 'truncation': 'auto'.",
    "logprobs": "It is 'top_logprobs' here, or 'message.output_text.logprobs' in 'include'.",
    "max_completion_tokens": "It is 'max_output_tokens' here.",
    "max_tokens": "It is 'max_output_tokens' here.",
    "messages": "They are 'input' here.",
    "moderation": "This service does not moderate.",
    "prompt": "No prompts are stored here; send 'instructions' and 'input'.",
    "response_format": "It is 'text.format' here.",
}
