"""Side-by-side WebSocket benchmarks: this framework and its peers on one server.

    make bench
    python -m consumers_tests.benchmarks --rounds 3 --only consumers --loads echo,json

Every measurement starts two fresh applications on one CPU, the workload's reference
and the peer, and a load generator on another, over loopback. The load goes to them in
short turns (A B B A ...) and the ratio is taken within this pair, so that a machine
that slows down or is shared does not favour one of them. The row of the reference is
such a pair with itself: its spread is the noise of the measurement. The reference is
raw ASGI, but where an application is several processes with a broker between them
(`redis`), and where this framework is compared with itself: this framework.

What is compared is the CPU time that the server processes spend per message, delivery
or connection; neither the broker's nor the load's is counted. It stands up to other
programs on the machine; rates and delays do so only on a quiet one, and while "client
busy" stays below about 0.9.

    catalogue.py   the peers, servers and workloads, each a line to add
    peers/         one application in each framework's own style
    measure.py     starts the servers and brokers of a pair, and the load
    processes.py   servers on a free port, their CPU time and memory
    frames.py      what a client sends, and what it expects
    clients.py     the clients, a crowd of them for each application
    rooms.py       those of a broadcast
    bench.py       whose turn it is, and what a turn cost
    load.py        the load generator, a process of its own
    jobs.py        what passes between it and the rest
    report.py      ratios, tables, the description of the machine

Needs Linux, for its clocks of other processes and for pinning them to a CPU.
"""
