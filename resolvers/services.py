"""What the use cases work with, put together once by the assembly and passed to each."""

from dataclasses import dataclass, field
from datetime import timedelta

from auth.audit_trail import AuditTrail
from auth.effective import GrantRules
from cluster.feed import Fleet
from models.rates import Limit
from resolvers.audit_stream import AuditFeed
from resolvers.registration import Registrar
from resolvers.registry import Registry
from resolvers.scans import Scans

NEW_TOKENS = Limit("token creation", 30, timedelta(hours=1))


@dataclass(frozen=True)
class Services:
    fleet: Fleet
    registry: Registry
    scans: Scans
    pages: Scans
    """As `scans`, of what is small: up to 1,000 deployments, found without a scan."""
    rules: GrantRules
    """What the settings say of grants."""
    new_tokens: Limit = NEW_TOKENS
    """How often somebody may make an access token."""
    registrar: Registrar | None = None
    """Who registers instances; None where their credentials don't come from the hub's own settings."""
    trail: AuditTrail = field(default_factory=AuditTrail)
    """Where acts are written down."""
    audit: AuditFeed = field(default_factory=AuditFeed)
    """What was written down, as it is."""
