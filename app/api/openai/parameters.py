"""OpenAI parameters that are not offered: accepted without effect, or refused, and why.

docs/compatibility.md repeats these tables; a test compares them.
"""

from collections.abc import Mapping

NO_EFFECT: Mapping[str, str] = {
    "metadata": "Nothing is stored, so there is nothing to attach it to.",
    "store": "Answers are never stored.",
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
