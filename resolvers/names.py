"""Names are judged before policy: an unchecked `../../team-b/…` would walk into another namespace's path."""

from collections.abc import Iterable, Iterator

from credentials.names import is_dns_label, is_dns_subdomain
from resolvers.errors import BadInput

LABEL = "must be a DNS label: lower-case letters, digits and '-', at most 63 characters"
SUBDOMAIN = "must be a DNS name: lower-case letters, digits, '-' and '.', at most 253 characters"


def check_place(
    *,
    instance_id: str,
    namespace: str | None = None,
    name: str | None = None,
    instance_path: str = "instanceId",
) -> None:
    """Raise `BadInput` unless each part given can be the name of what it names."""
    problems = []
    if not is_dns_label(instance_id):
        problems.append((instance_path, LABEL))
    if namespace is not None and not is_dns_label(namespace):
        problems.append(("namespace", LABEL))
    if name is not None and not is_dns_subdomain(name):
        problems.append(("name", SUBDOMAIN))
    if problems:
        raise BadInput(*problems)


def check_names(*names: tuple[str, str | None]) -> None:
    """Raise `BadInput` unless each (path, name) that is given can name an instance or a namespace."""
    problems = [(path, LABEL) for path, name in names if name is not None and not is_dns_label(name)]
    if problems:
        raise BadInput(*problems)


def each_of(path: str, names: Iterable[str] | None) -> Iterator[tuple[str, str]]:
    """A list's names with their paths."""
    for index, name in enumerate(names or ()):
        yield f"{path}.{index}", name
