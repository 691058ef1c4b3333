"""The words everyone shares: messages, requests, events, usage, errors, stats.

Standard library only; every other package may import this one, and it imports none of them.
"""
