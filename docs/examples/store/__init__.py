"""A store whose prices are published by programs of every kind."""
