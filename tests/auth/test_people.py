import pytest

from auth.errors import InvalidRequest
from auth.identity import Provider
from auth.people import Person, parse_person

TENANT, OBJECT = "72F988BF-86f1-41af-91ab-2d7cd011db47", "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("text", "person"),
    [
        (f"entra:{TENANT}/{OBJECT}", Person(Provider.ENTRA, f"{TENANT.lower()}/{OBJECT}")),
        ("github:1001", Person(Provider.GITHUB, "1001")),
        ("GitHub:1001", Person(Provider.GITHUB, "1001")),
        (
            "oidc:https://id.example.com:8443/r#Sub:1",
            Person(Provider.OIDC, "https://id.example.com:8443/r#Sub:1"),
        ),
        ("demo:ml-team", Person(Provider.DEMO, "ml-team")),
    ],
)
def test_people_are_named_by_provider_and_subject(text: str, person: Person) -> None:
    assert parse_person(text) == person
    assert parse_person(str(person)) == person


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("entra:ada@example.com", "entra:<tenant id>/<object id>"),
        ("github:octocat", "github:<numeric id>"),
        ("github:", "github:<numeric id>"),
        ("oidc:ada", "oidc:<issuer>#<sub>"),
        ("ada", "demo:<name>"),
        ("local:me", "demo:<name>"),
        ("google:1", "oidc:<issuer>#<sub>"),
    ],
)
def test_anything_else_is_refused_with_the_right_form(text: str, hint: str) -> None:
    with pytest.raises(InvalidRequest, match="names no person") as refused:
        parse_person(text)
    assert hint in str(refused.value)
