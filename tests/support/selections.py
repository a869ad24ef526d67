"""Random GraphQL documents: selections with aliases, named and inline fragments, directives and variables."""

from collections.abc import Mapping

from graphql import GraphQLObjectType, get_named_type
from hypothesis import strategies as st

HEAD = "($yes: Boolean!, $permission: Permission!)"
"""The variables that a selection may use. A document has to use all of them somewhere."""
ARGUMENTS: Mapping[str, str] = {"namespaces": "(permission: $permission)"}


@st.composite
def selections(
    draw: st.DrawFn,
    kind: GraphQLObjectType,
    fragments: list[str],
    *,
    arguments: Mapping[str, str] = ARGUMENTS,
    depth: int = 4,
) -> str:
    """A random selection set on the type, which may add named fragments to the list. `arguments` are those of
    fields that need some, by the field's name."""
    parts = []
    for name in draw(st.lists(st.sampled_from(sorted(kind.fields)), min_size=1, max_size=6)):
        inner = get_named_type(kind.fields[name].type)
        body = ""
        if isinstance(inner, GraphQLObjectType):
            if not depth:
                continue
            body = draw(selections(inner, fragments, arguments=arguments, depth=depth - 1))
        alias = draw(st.sampled_from(["", "", f"{name}_{len(fragments)}_{depth}_{len(body)}: "]))
        condition = draw(st.sampled_from(["", "", " @include(if: $yes)", " @skip(if: $yes)"]))
        parts.append(f"{alias}{name}{arguments.get(name, '')}{condition} {body}")
    if draw(st.booleans()):
        parts.append("__typename")
    text = " ".join(parts) or "__typename"
    match draw(st.sampled_from(["plain", "plain", "inline", "named"])):
        case "inline":
            text = f"__typename ... on {kind.name} {{ {text} }}"
        case "named":
            fragments.append(f"fragment F{len(fragments)} on {kind.name} {{ {text} }}")
            text = f"__typename ...F{len(fragments) - 1}"
    return f"{{ {text} }}"
