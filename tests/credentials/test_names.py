import pytest

from credentials.names import is_dns_label, is_dns_subdomain


@pytest.mark.parametrize("name", ["a", "prod-east", "0", "a" * 63])
def test_labels_are_labels_and_subdomains(name: str) -> None:
    assert is_dns_label(name)
    assert is_dns_subdomain(name)


@pytest.mark.parametrize("name", ["a.b", "models.airunway.ai", "a" * 64, "a" * 253])
def test_only_subdomains_are_long_or_dotted(name: str) -> None:
    assert not is_dns_label(name)
    assert is_dns_subdomain(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        "A",
        "a_b",
        "a/b",
        "..",
        "../a",
        "a..b",
        ".a",
        "a.",
        "a b",
        "a\n",
        "ä",
        "a\0",
        "%2e",
        "a" * 254,
    ],
)
def test_other_names_are_neither(name: str) -> None:
    assert not is_dns_label(name)
    assert not is_dns_subdomain(name)
