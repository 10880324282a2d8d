"""Side-by-side WebSocket benchmarks: this framework, its peers, and their servers.

    make bench
    python -m consumers_tests.benchmarks --rounds 3 --only consumers --loads echo1,json
    python -m consumers_tests.benchmarks --pairs consumers --only starlette,litestar
    python -m consumers_tests.benchmarks --against HEAD~1 --rounds 7 --loads echo16
    python -m consumers_tests.benchmarks --loads members,connections --keep growth

Every measurement starts two fresh applications on one CPU, the workload's reference
and the peer, and a load generator on another, over loopback. The load goes to them in
short turns (A B B A ...) and the ratio is taken within this pair, so that a machine
that slows down or is shared does not favour one of them. The row of the reference is
such a pair with itself: its spread is the noise of the measurement. The reference is
raw ASGI on uvicorn with `websockets-sansio` and uvloop, whatever serves the peer; but
where an application is several processes with a broker between them (`redis`), and
where this framework is compared with itself, it is this framework.

With `--pairs` one peer takes turns with each of the others, and rounds won are counted.
With `--against` the package as it was at another commit takes turns with what is here,
and so does what is here with itself: a cost has changed when it lies outside of that.
With `--keep` the tables and plots are written into the documentation.

A peer or a server whose package is missing has a row that says so. `make bench`
installs all of them, the tests use those that are there.

What is compared is the CPU time that the server processes spend per message, delivery
or connection; neither the broker's nor the load's is counted. It stands up to other
programs on the machine; rates and delays do so only on a quiet one, and while "client
busy" stays below about 0.9.

    catalogue.py   the workloads, each an entry to add
    rows.py        the peers, and which of them a workload has, each a line to add
    servers.py     the servers: how they are started
    peers/         one application in each framework's own style
    contests.py    who takes turns with whom
    revisions.py   the package at another commit, and whether a cost has changed
    measure.py     starts the servers and brokers of a pair, and the load
    processes.py   servers on a free port, their CPU time and memory
    frames.py      what a client sends, and what it expects
    clients.py     the clients, a crowd of them for each application
    rooms.py       those of a broadcast
    bench.py       whose turn it is, and what a turn cost
    load.py        the load generator, a process of its own
    jobs.py        what passes between it and the rest
    report.py      ratios, tables, the description of the machine
    plots.py       the same drawn as SVG
    kept.py        what is written into the documentation
    in_process.py  what the framework takes without a server

Needs Linux, for its clocks of other processes and for pinning them to a CPU.
"""
