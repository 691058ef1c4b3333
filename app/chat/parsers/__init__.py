"""Parsers of model output: text in, thoughts, text and tool calls out."""
