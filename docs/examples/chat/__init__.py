"""A chat with rooms, in a browser: `app` is the application, `page` what it serves."""
