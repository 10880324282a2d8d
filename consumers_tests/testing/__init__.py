"""Tests of the test kit, mostly against bare ASGI applications."""
