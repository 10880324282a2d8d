"""A feed of prices that a slow reader can keep up with."""
