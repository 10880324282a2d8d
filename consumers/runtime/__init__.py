"""The runtime: what drives one connection, from its handshake to its end.

============ ==========================================================================
module       what it is about
============ ==========================================================================
admission    what a handshake must pass before anything of the application's runs
runtime      drives a connection through its lifecycle; ``observed`` tells of it, too
life         its ``tasks`` and how it ends: ``verdict``, then ``farewell``
hooks        called with what they ask for, which ``providing`` keeps until the end
watchdog     notices that a client left while a hook runs
dispatch     hands messages to methods, in ``lanes``; ``answering`` sends what comes
session      the same for `consumers.v1`, with ``asking``, ``answered`` and ``vigil``
expiry       ends who is there no longer, or no longer allowed: with ``heartbeats``
registry     the connections that are open, which a ``drain`` asks to leave
traffic      what has gone through a connection
application  what the runtime asks of the application that a connection came through
============ ==========================================================================
"""
