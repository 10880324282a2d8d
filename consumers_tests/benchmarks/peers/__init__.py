"""One application in each framework's own style.

Each module has an ASGI application `app` with three routes: `/echo` returns a text,
`/json` returns the message with its `type` set to `chat.reply`, and `/broadcast`
sends a text to every connection on that route, the sender's included. Where
`BROKER_URL` is set, to those of every process.

`raw` and `consumers_app` have two more: `/typed` answers `say` with `said`, and
`/request` does it over `consumers.v1`, after one message of welcome.

The modules named `…_server` have no application but a server of their own, which runs
as `python -m MODULE PORT`.

`broadcaster_app` and `starlette_redis_app` have `/broadcast` only, `chanx_app` has a
`/typed` of its own, and `socketio_app` answers `echo` and `cast` on its one path.
`groups_app` is what is measured of this framework alone: groups of different sizes and
numbers.
"""
