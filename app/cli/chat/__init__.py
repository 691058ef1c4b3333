"""`corral run` and `corral chat`: conversations with a model, in a terminal or a script."""
