"""One application in each framework's own style.

Each module has an ASGI application `app` with three routes: `/echo` returns a text,
`/json` returns the message with its `type` set to `chat.reply`, and `/broadcast`
sends a text to every connection on that route, the sender's included. Where
`BROKER_URL` is set, to those of every process.

`raw` and `consumers_app` have two more: `/typed` answers `say` with `said`, and
`/request` does it over `consumers.v1`, after one message of welcome.

`starlette_redis_app` has the last only, and `groups_app` what is measured of this
framework alone: groups of different sizes and numbers.
"""
