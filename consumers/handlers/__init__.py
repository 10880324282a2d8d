"""Handlers: what a class or a view asks for, read and checked once, when it is made.

============ ==========================================================================
module       what it is about
============ ==========================================================================
messages     how a class says what it receives: `@receives`, `@subscribes`
receivers    the methods that take messages; ``subscribers`` those that are asked for
             subscriptions; ``attributes`` is how either is found
signatures   what a hook asks for: ``params``, ``providers``, ``depends`` (FastAPI's)
spelling     the names of hooks, and what is written in their place by mistake
settings     of a class, a route or a view
plan         all of these, of one class
call         one message on its way through the method that takes it
============ ==========================================================================
"""
