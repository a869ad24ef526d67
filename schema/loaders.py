"""What a request asks the database for together: a page of people with their groups takes two queries, not
one for each person. Nothing is kept, because an answer is of now."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from strawberry.dataloader import DataLoader

from auth.accounts import TokenInfo
from auth.effective import GrantRules
from auth.identity import Identity, Profile
from auth.listing import find_groups
from auth.mappings import GroupMapping
from auth.permissions import Group, Permission
from auth.policy import narrow
from resolvers import group_mappings, people, tokens

V = TypeVar("V")


class Loaders:
    """For one who asks: nobody is found whom they may not see."""

    def __init__(self, *, rules: GrantRules, asker: Identity | None) -> None:
        async def find_people(ids: Sequence[str]) -> Mapping[str, Profile]:
            permit = narrow(asker, Permission.MANAGE_USERS)
            return await people.find_people(rules=rules, permit=permit, user_ids=ids)

        async def find_mappings(ids: Sequence[str]) -> Mapping[str, GroupMapping]:
            permit = narrow(asker, Permission.MANAGE_GROUP_MAPPINGS)
            return await group_mappings.find_mappings(permit=permit, ids=ids)

        async def find_tokens(user_ids: Sequence[str]) -> Mapping[str, list[TokenInfo] | None]:
            return await tokens.list_tokens(asker=asker, user_ids=user_ids) if asker else {}

        self.people: DataLoader[str, Profile | None] = _loader(find_people)
        self.mappings: DataLoader[str, GroupMapping | None] = _loader(find_mappings)
        self.tokens: DataLoader[str, list[TokenInfo] | None] = _loader(find_tokens)
        self.groups: DataLoader[str, list[Group] | None] = _loader(find_groups)


def _loader(
    find: Callable[[list[str]], Awaitable[Mapping[str, V] | Mapping[str, V | None]]],
) -> DataLoader[str, V | None]:
    async def load(ids: list[str]) -> Sequence[V | None]:
        found = await find(list(dict.fromkeys(ids)))
        return [found.get(each) for each in ids]

    return DataLoader(load, cache=False)
