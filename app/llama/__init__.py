"""llama.cpp through llama-cpp-python's low-level API. The only package that imports `llama_cpp`.

It knows nothing of requests in flight: it offers a model, a vocabulary, a context that decodes
batches, samplers, and an embedding context. Each context must be used by one thread only.
"""
