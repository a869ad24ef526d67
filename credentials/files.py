"""Reading files that a kubeconfig names, and no others."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from credentials.errors import Refused, quoted

SIZE_LIMIT = 1024 * 1024
"""Bytes. A kubeconfig has some kilobytes, a bundle of CA certificates some hundreds."""

Read = Callable[[str, str], bytes]
"""`read_within`, or one like it."""


def read_within(directory: str, path: str) -> bytes:
    """The content of a file that lies inside `directory` once every link is resolved.

    A relative path starts from `directory`, which may be a link itself. Raises `Refused`.
    """
    root = os.path.realpath(directory)
    target = os.path.realpath(Path(directory, path))
    if not Path(target).is_relative_to(root):
        raise Refused(
            f"{quoted(path)} leads out of the credentials directory: "
            "put the file itself there, no link to elsewhere."
        )
    try:
        return _read(target, path)
    except OSError as error:
        raise Refused(f"{quoted(path)} can't be read: {error.strerror}.") from error


def read_token(directory: str, path: str, read: Read = read_within) -> str:
    """The bearer token that a token file holds now; raises `Refused`. For every request anew."""
    try:
        token = read(directory, path).decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not is_token(token):  # also keeps any other file of the directory from being sent as a header
        raise Refused(f"{quoted(path)} holds no token: it should be one line of printable characters.")
    return token


def is_token(text: str) -> bool:
    """Whether the text can stand in an Authorization header."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _read(target: str, path: str) -> bytes:
    # O_NOFOLLOW: a link put here since it was resolved. O_NONBLOCK: opening a FIFO would wait for ever.
    descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused(f"{quoted(path)} isn't a regular file.")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(SIZE_LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(content) > SIZE_LIMIT:
        raise Refused(f"{quoted(path)} is larger than {SIZE_LIMIT // 1024} KiB.")
    return content
