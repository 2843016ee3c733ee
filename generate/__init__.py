"""Writes every file that is generated, but for the messages: `python -m generate`.

A module for each part. `files` writes or compares what they make; no part of the product is here.
"""
