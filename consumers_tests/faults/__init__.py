"""Faults on purpose: what clients get while brokers, links and servers fail.

    make faults
    python -m consumers_tests.faults broker-killed --seeds 20 --clients 500

Each run starts a real Valkey, servers in processes of their own, and a process full of
clients that remember their position, come back when they are cut off, and note all that
they get. Then something is broken, at a moment that the seed chooses, and the notes are
judged. Every scenario has a control: the same run with the guard taken out, which has
to fail.

    application.py    what is served
    guards.py         what can be taken out of it, one at a time
    publishing.py     numbered publications, from inside a server or from a program
    members.py        the clients: cheap, and stubborn
    crowd.py          the process that they live in
    jobs.py           what passes between it and the rest
    wire.py           frames as clients read them
    verdict.py        judges what a client has got: a pure function
    processes.py      servers and other processes, each ended by who started it
    stage.py          broker, servers, crowd and publishers of one run
    broker.py         the broker is killed, wiped, set back, or cannot be reached
    server.py         a server is killed
    restarts.py       processes are restarted, as a deploy does
    restarts_served.py  what they serve
    writers.py        who writes to them meanwhile
    slow.py           a client does not read
    churn.py          clients come and go
    chat.py           two people talk in a browser
    chat_served.py    what they talk by
    report.py         tables, and the description of the machine
"""
