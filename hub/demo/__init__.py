"""Simulated clusters: an API server in memory that speaks real HTTP, its faults, and models that live in it.

For the demo, the benchmarks and the tests. Belongs here: what a Kubernetes API server promises its clients
(CLUSTERS.md of the design), typed faults on demand, the scenario engine, the demo's three clusters.
Doesn't: anything of the hub. Nothing in here knows who asks, and the hub never knows that it is simulated.
"""
