"""Every span of time that watching a cluster depends on, in seconds. Tests pass shorter ones."""

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    connect: float = 10
    """For a free connection, TCP and TLS together."""
    answer: float = 30
    """Between two pieces of an answer, watches apart; also for all questions about rights together."""
    plugin: float = 30
    """For an exec plugin to print its credential."""

    watch: float = 300
    """After this the API server is asked to end a watch, which is then resumed."""
    silence: float = 90
    """A watch without a byte for this long is cut: bookmarks come about every minute."""
    first_delay: float = 0.8
    longest_delay: float = 30
    """Back-off doubles from the first to the longest delay."""
    good: float = 120
    """A watch that stood this long has earned a fresh back-off."""
    refused: float = 60
    """Between two tries while the API server answers 401 or 403."""
    longest_retry_after: float = 300
    """What a server's Retry-After is obeyed up to."""

    discovery_first: float = 0.25
    """After a hint that the API groups changed; doubles up to `discovery`."""
    discovery: float = 10
    """Between two looks at the API groups."""
    probe: float = 30
    """Between two health probes; those that fail back off as watches do."""
    review: float = 600
    """Between two looks at what the hub's account may do; those that fail back off."""
    deadline: float = 10
    """For one health probe."""
