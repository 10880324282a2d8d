"""Queues: what waits between a server and a consumer, in either direction, bounded.

============ ==========================================================================
module       what it is about
============ ==========================================================================
inbox        a connection's events on their way to whoever reads them
outbox       what waits to be sent to one client
backlog      publications that wait for one connection
policies     what becomes of them when a client reads too slowly
direct       the way past the queues, where a server offers one
============ ==========================================================================
"""
