"""The layer on a Redis or Valkey server."""
