"""Documents that are made to cost as much as they can, of any size, and how their time grows with it."""

import time
from collections.abc import Callable, Mapping

Attack = Callable[[int], str]
"""A document of about so many tokens."""


def _each(count: int, template: str) -> str:
    return " ".join(template.format(number) for number in range(count))


def _fragments(count: int, template: str) -> str:
    return _each(count, f"fragment F{{0}} on Query {template}")


ATTACKS: Mapping[str, Attack] = {
    # What is wrong with the text.
    "open braces": lambda n: "{a" * n,
    "open parentheses": lambda n: "{a(" + "(" * n,
    "open lists": lambda n: "{a(x:" + "[" * n,
    "open objects": lambda n: "{a(x:" + "{a:" * n,
    "open list types": lambda n: "query ($a:" + "[" * n,
    "strings without an end": lambda n: '"\\"' * n,
    "block strings without an end": lambda n: '\\"""\n' * n,
    "comments": lambda n: "#\n" * n + "{ hub { nope } }",
    "one long comment": lambda n: "#" + "x" * 20 * n + "\n{ hub { nope } }",
    "blank lines": lambda n: "\n" * 20 * n + "{ hub { nope } }",
    "a long name": lambda n: "{" + "x" * n + "}",
    # Fragments.
    "a bomb": lambda n: (
        "{ ...F0 }"
        + _each(n // 11, "fragment F{0} on Query {{ ...G{0} ...G{0} }} fragment G{0} on Query {{ a }}")
    ),
    "a bomb of a chain": lambda n: (
        "{ ...F0 }"
        + " ".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(n // 8))
        + f"fragment F{n // 8} on Query {{ hub {{ mode }} }}"
    ),
    "spreads side by side": lambda n: (
        "{" + _each(n // 13, "...F{0}") + "}" + _fragments(n // 13, "{{ a{0}: hub {{ mode }} }}")
    ),
    "one spread often": lambda n: "{" + "...F " * (n // 2) + "} fragment F on Query { hub { mode } }",
    "chains side by side": lambda n: (
        "{"
        + _each(n // 400 + 1, "...F{0}x0")
        + "}"
        + " ".join(
            f"fragment F{i}x{j} on Query {{ hub {{ mode }} ...F{i}x{j + 1} }}"
            for i in range(n // 400 + 1)
            for j in range(40)
        )
        + _each(n // 400 + 1, "fragment F{0}x40 on Query {{ hub {{ mode }} }}")
    ),
    "a cycle": lambda n: (
        "{ ...F0 }"
        + " ".join(f"fragment F{i} on Query {{ ...F{(i + 1) % (n // 8)} }}" for i in range(n // 8))
    ),
    "many cycles": lambda n: "{ ...F0 }" + _fragments(n // 12, "{{ ...F{0} ...F0 ...F1 }}"),
    "unused fragments": lambda n: "{ hub { mode } }" + _fragments(n // 9, "{{ hub {{ mode }} }}"),
    "operations that share a fragment": lambda n: (
        _each(n // 8, "query Q{0} {{ ...F }}") + "fragment F on Query { hub { mode } }"
    ),
    "operations times variables": lambda n: (
        _each(n // 20, "query Q{0}($a: Int) {{ ...F }}")
        + "fragment F on Query {"
        + _each(n // 24, "a{0}: instances(first: $a) {{ totalCount }}")
        + "}"
    ),
    # Fields of one name.
    "one leaf often": lambda n: "{ hub {" + "mode " * n + "} }",
    "one object often": lambda n: "{" + "hub { mode } " * (n // 4) + "}",
    "one path often": lambda n: "{" + "deployments { nodes { replicas { ready } } } " * (n // 10) + "}",
    "one field with arguments often": lambda n: (
        "{"
        + 'deployments(first: 3, filter: {namespaces: ["a", "b"], search: "x"}) { totalCount } ' * (n // 20)
        + "}"
    ),
    "inline fragments": lambda n: "{" + "... on Query { hub { mode } } " * (n // 8) + "}",
    "conflicts": lambda n: "{ hub {" + _each(n // 6, "a{0}: mode a{0}: version") + "} }",
    "one conflict often": lambda n: "{ hub {" + "a: mode a: version " * (n // 6) + "} }",
    "types beside each other": lambda n: (
        '{ node(id: "a") {'
        + "... on Deployment { id x: name } ... on Instance { id x: name } ... on User { id } " * (n // 30)
        + "} }"
    ),
    # Everything else that a rule looks at.
    "aliases": lambda n: "{ hub {" + _each(n // 3, "a{0}: mode") + "} }",
    "root fields": lambda n: "{" + _each(n // 6, "a{0}: hub {{ mode }}") + "}",
    "directives in one place": lambda n: "{ hub { mode " + "@skip(if: true) " * (n // 6) + "} }",
    "directives all over": lambda n: "{ hub {" + "mode @skip(if: true) " * (n // 7) + "} }",
    "unknown directives": lambda n: "{ hub { mode " + _each(n // 2, "@x{0}") + "} }",
    "unknown fields": lambda n: "{ hub {" + _each(n, "mod{0}") + "} }",
    "unknown arguments": lambda n: "{ hub(" + _each(n // 3, "a{0}: 1") + ") { mode } }",
    "unknown types": lambda n: "{" + _each(n // 6, "... on Deploymentt{0} {{ id }}") + "}",
    "one argument often": lambda n: "{ hub(" + "a: 1 " * (n // 3) + ") { mode } }",
    "unused variables": lambda n: "query (" + _each(n // 4, "$a{0}: Int") + ") { hub { mode } }",
    "undefined variables": lambda n: (
        "{ instances(filter: {statuses: [" + _each(n // 2, "$a{0}") + "]}) { totalCount } }"
    ),
    "one variable often": lambda n: "query (" + "$a: Int " * (n // 4) + ") { hub { mode } }",
    "one operation often": lambda n: "query Q { hub { mode } } " * (n // 8),
    "unknown input fields": lambda n: (
        "{ deployments(filter: {" + _each(n // 3, "x{0}: 1") + "}) { totalCount } }"
    ),
    "one input field often": lambda n: (
        "{ deployments(filter: {" + "search: 1 " * (n // 3) + "}) { totalCount } }"
    ),
    "wrong values": lambda n: "{ deployments(filter: {namespaces: [" + "1 " * n + "]}) { totalCount } }",
    "wrong enum values": lambda n: (
        "{ deployments(filter: {phases: [" + "RUNNINGG " * n + "]}) { totalCount } }"
    ),
    "introspection": lambda n: "{ __schema { types {" + "fields { type { name } } " * (n // 8) + "} } }",
}


def processor_seconds(work: Callable[[], object], *, runs: int = 3) -> float:
    """Of this thread, so that a busy machine doesn't matter; the least of several runs."""
    least = float("inf")
    for _ in range(runs):
        began = time.thread_time()
        work()
        least = min(least, time.thread_time() - began)
    return least


def growth(work: Callable[[int], object], size: int, *, most: float, tries: int = 4) -> float:
    """How many times as long twice the size takes. Above `most` it may be chance, and is measured anew."""
    least = float("inf")
    for _ in range(tries):
        once = processor_seconds(lambda: work(size))
        twice = processor_seconds(lambda: work(2 * size))
        least = min(least, twice / once)
        if least <= most:
            break
    return least
