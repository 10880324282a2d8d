"""Serve the chat on trio. Run it: ``python serve.py``."""

import consumers
from rooms import app

if __name__ == "__main__":
    consumers.run(app, backend="trio", port=8000)
