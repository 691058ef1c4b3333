"""Guessing tokens ahead, so that one step can confirm several of them."""
