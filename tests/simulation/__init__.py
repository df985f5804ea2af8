"""The refresh protocol under a seeded scheduler: many schedules, every invariant after each step.

What is driven are the real parts: the flow's generator, the swaps, the decisions, the registry of
flights and the caller's way to a token. What is modelled is the world around them: time, the
database's one row, the network and a strict issuer.
"""
