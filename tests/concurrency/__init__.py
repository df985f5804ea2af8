"""The real thing: processes, threads and tasks on a real database, against the strict issuer.

`Fleet` (fleet.py) forks workers from a launcher (worker.py) that has loaded Django and touched no
database. A worker carries out jobs (jobs/), each in a thread of its own, and can be stopped at a
named step of the protocol, killed, or paused. Nothing waits by sleeping: requests are held inside
the issuer, and workers say how far they are.

`python -m tests.concurrency` prints the figures of the stampedes for each database that answers.
"""
