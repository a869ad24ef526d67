"""The two kinds of names in Kubernetes (RFC 1123), as its API server checks them."""

import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")


def is_dns_label(name: str) -> bool:
    """Whether a namespace, container, service or instance may be called so: at most 63 characters."""
    return len(name) <= 63 and _LABEL.fullmatch(name) is not None


def is_dns_subdomain(name: str) -> bool:
    """Whether most other objects may be called so: at most 253 characters, dots allowed."""
    return len(name) <= 253 and _SUBDOMAIN.fullmatch(name) is not None


def as_dns_label(name: str, *, otherwise: str) -> str:
    """The name with dashes for what no label has, cut to a label's length; `otherwise` if nothing is left."""
    label = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-")
    return label or otherwise
