"""Everything that the use cases raise of their own.

    UseCaseError
    ├── BadInput      what was asked can't be; every problem with its path
    ├── NotFound      there is no such thing, or the person may not know of it
    ├── NeedsSession  an access token may not do it, whatever rights it has
    └── SlowConsumer  a stream's reader is too far behind to be caught up

Errors of `cluster`, `auth` and `models` pass through; `schema.errors` has the one table of codes.
"""


class UseCaseError(Exception):
    """Base of all errors of this package."""


class BadInput(UseCaseError):
    """Input that can't be acted on. `problems` are (path, what is wrong and what would do)."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = problems


class NotFound(UseCaseError):
    """Nothing there, as far as the person may know."""


class NeedsSession(UseCaseError):
    """Only somebody who has signed in may do it. The text says what."""


class SlowConsumer(UseCaseError):
    """The reader needs changes that the log no longer holds; it has to begin anew."""
