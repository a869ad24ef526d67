"""What the hub costs, always as a ratio or against a limit, from one run on one machine.

A benchmark is a module with `run() -> list[Figure]`; `python -m benchmarks` gives each a process of its own.
What is measured runs in further processes, on another core than what measures. The hub imports nothing of it.
"""
