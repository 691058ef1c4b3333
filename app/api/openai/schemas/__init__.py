"""What OpenAI's clients send, checked strictly."""
