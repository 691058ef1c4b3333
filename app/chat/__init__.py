"""Chat as text: rendering templates, and parsing what models write back. No model needed."""
