"""Writes every file that is generated, but for the messages: `python -m generate`.

A module for each part. `steps` writes or compares what they make; no part of the product is here.
"""
