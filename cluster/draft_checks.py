"""Whether a draft can be a deployment at all, as far as that can be said without a cluster.

All else is the API server's to judge, whose words reach the person.
"""

from collections.abc import Iterable, Iterator

from cluster.drafts import DeploymentDraft, ServingMode
from cluster.errors import InvalidDraft
from credentials.names import is_dns_label, is_dns_subdomain

MANAGED_BY = "app.kubernetes.io/managed-by"
"""The label that the hub sets itself."""
MAX_VOLUMES = 8

Problem = tuple[str, str]
"""Where in the input (`env.1.name`), and what is wrong there."""


def check_draft(draft: DeploymentDraft) -> None:
    """Raise `InvalidDraft` with everything that can't be, whatever cluster it is for."""
    problems = [*_names(draft), *_numbers(draft), *_mode(draft), *_lists(draft)]
    if problems:
        raise InvalidDraft(*problems)


def _names(draft: DeploymentDraft) -> Iterator[Problem]:
    label = "must be a DNS label: lower-case letters, digits and '-', at most 63 characters"
    subdomain = "must be a DNS name: lower-case letters, digits, '-' and '.', at most 253 characters"
    if not is_dns_label(draft.namespace):
        yield "namespace", label
    if not is_dns_subdomain(draft.name):
        yield "name", subdomain
    secret = draft.hugging_face_token_secret
    if secret is not None and not is_dns_subdomain(secret):
        yield "huggingFaceTokenSecret", subdomain
    for index, volume in enumerate(draft.model.volumes):
        if not is_dns_label(volume.name):
            yield f"model.volumes.{index}.name", label
        if volume.claim_name is not None and not is_dns_subdomain(volume.claim_name):
            yield f"model.volumes.{index}.claimName", subdomain


def _numbers(draft: DeploymentDraft) -> Iterator[Problem]:
    counts = {"replicas": draft.replicas}
    if draft.resources is not None and draft.resources.gpu is not None:
        counts["resources.gpu.count"] = draft.resources.gpu.count
    for path, role in (("prefill", draft.prefill), ("decode", draft.decode)):
        if role is not None:
            counts[f"{path}.replicas"] = role.replicas
            counts[f"{path}.gpu.count"] = role.gpu.count
    for path, count in counts.items():
        if count is not None and count < 0:
            yield path, "must not be negative"
    length = draft.engine.context_length if draft.engine else None
    if length is not None and length < 1:
        yield "engine.contextLength", "must be at least 1"


def _mode(draft: DeploymentDraft) -> Iterator[Problem]:
    roles = (("prefill", draft.prefill), ("decode", draft.decode))
    if draft.mode is not ServingMode.DISAGGREGATED:
        for path, role in roles:
            if role is not None:
                yield path, "needs mode DISAGGREGATED"
        return
    if draft.replicas is not None:
        yield "replicas", "is for mode AGGREGATED: prefill and decode have replicas of their own"
    if draft.resources is not None and draft.resources.gpu is not None:
        yield "resources.gpu", "is for mode AGGREGATED: prefill and decode have GPUs of their own"
    for path, role in roles:
        if role is None:
            yield path, "is needed in mode DISAGGREGATED"
        elif role.gpu.count == 0:
            yield f"{path}.gpu.count", "must be at least 1 in mode DISAGGREGATED"


def _lists(draft: DeploymentDraft) -> Iterator[Problem]:
    if len(draft.model.volumes) > MAX_VOLUMES:
        yield "model.volumes", f"must be at most {MAX_VOLUMES}"
    yield from _repeated("model.volumes.{}.name", (volume.name for volume in draft.model.volumes))
    if draft.engine is not None:
        yield from _repeated("engine.args.{}.name", (each.name for each in draft.engine.args))
    yield from _repeated("env.{}.name", (each.name for each in draft.env))
    yield from _repeated("nodeSelector.{}.key", (each.name for each in draft.node_selector))
    yield from _repeated("labels.{}.key", (each.name for each in draft.labels))
    for index, label in enumerate(draft.labels):
        if label.name == MANAGED_BY:
            yield f"labels.{index}.key", "is set by the hub"


def _repeated(path: str, names: Iterable[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield path.format(index), f"{name} is there already"
        seen.add(name)
