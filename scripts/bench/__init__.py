"""The benchmark behind docs/benchmarks.md: Corral and llama-server in turn on one model."""
