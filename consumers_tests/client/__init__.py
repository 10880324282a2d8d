"""The clients: the package in Python, and the module in JavaScript."""
