"""Reranking as Jina, Cohere, vLLM and text-embeddings-inference (TEI) have it."""
