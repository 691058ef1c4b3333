"""`corral doctor`: what is wrong with this machine, its settings and its models."""
