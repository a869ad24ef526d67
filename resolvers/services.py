"""What the use cases work with, put together once by the assembly and passed to each."""

from dataclasses import dataclass

from auth.people import Person
from cluster.feed import Fleet
from resolvers.instances import Registry
from resolvers.scans import Scans


@dataclass(frozen=True)
class Services:
    fleet: Fleet
    registry: Registry
    scans: Scans
    administrators: frozenset[Person]
    """HUB_ADMINS, whose grants are computed."""
