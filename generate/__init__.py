"""Writes committed files from the code."""
