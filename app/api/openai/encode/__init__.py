"""From neutral events to OpenAI's wire."""
