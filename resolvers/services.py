"""What the use cases work with, put together once by the assembly and passed to each."""

from dataclasses import dataclass

from auth.effective import GrantRules
from cluster.feed import Fleet
from resolvers.instances import Registry
from resolvers.scans import Scans


@dataclass(frozen=True)
class Services:
    fleet: Fleet
    registry: Registry
    scans: Scans
    pages: Scans
    """As `scans`, of what is small: up to 1,000 deployments, found without a scan."""
    rules: GrantRules
    """What the settings say of grants."""
