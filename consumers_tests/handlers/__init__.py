"""Handlers: what classes and views ask for."""
