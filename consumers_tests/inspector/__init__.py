"""The inspector: what it counts, shows and hides, and its page."""
