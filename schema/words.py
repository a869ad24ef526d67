"""Enums that only the surface has, and the cluster's words turned into the surface's."""

from enum import StrEnum


class Denial(StrEnum):
    REFUSE = "REFUSE"
    NARROW = "NARROW"
    HIDE = "HIDE"


class HubMode(StrEnum):
    HUB = "HUB"
    LOCAL = "LOCAL"
    DEMO = "DEMO"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class PodPhase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class ContainerState(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    TERMINATED = "TERMINATED"
