"""The handshake: who may connect, what is known of them, and how one is refused.

============ ==========================================================================
module       what it is about
============ ==========================================================================
handshake    a connection's beginning, which is accepted or refused
connection   what is known of a connection from it
headers      what its answer may carry
origins      the pages that may open a connection
credentials  where a token comes from, and how none gets into a log
identity     who is on the other side
allow        rules: who may connect
crowd        how many there are, from each address and of each user
refusal      how a handshake is refused; ``refusals`` are counted
============ ==========================================================================
"""
