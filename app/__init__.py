"""Corral: an OpenAI-compatible inference service for GGUF models on llama.cpp."""

__version__ = "0.1.0"
