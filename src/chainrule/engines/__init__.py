"""Engines give graphs their meaning. Every engine is a few methods and a table."""
