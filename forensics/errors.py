"""The exceptions of the program, one tree.

Bad evidence is never an exception: it is a row in a table or a counted loss.
Exceptions are for usage and for inputs that cannot be opened at all::

    ForensicsError
    ├── UsageError           the caller asked for something that cannot be done (exit status 2)
    ├── NoInputError         not one of the inputs could be read (exit status 3)
    └── InputError           one input cannot be read; names file, offset and reason
        ├── Unreadable       missing, a directory, no permission
        ├── UnknownFormat    the content is of no format that a reader knows
        └── EmptyInput       no octets at all
"""

from __future__ import annotations


class ForensicsError(Exception):
    """The root of every error that the program raises on purpose."""


class UsageError(ForensicsError):
    """The caller's options contradict each other or name what does not exist."""


class InputError(ForensicsError):
    """An input cannot be read.

    Args:
        path: the file as the user named it.
        offset: octets from the start of the (decompressed) file where reading stopped.
        reason: one line in plain words, without the path.
    """

    def __init__(self, path: str, offset: int, reason: str) -> None:
        """Keep the three parts, and join them to one line."""
        super().__init__(f"{path}: offset {offset}: {reason}")
        self.path = path
        self.offset = offset
        self.reason = reason


class Unreadable(InputError):
    """The file is missing, is a directory, or may not be opened."""


class UnknownFormat(InputError):
    """The first octets belong to no format that a reader knows."""


class EmptyInput(InputError):
    """The input has no octets."""


class NoInputError(ForensicsError):
    """Not one of the inputs could be read; `errors` says why, one for each."""

    def __init__(self, errors: tuple[InputError, ...]) -> None:
        """Keep the errors of the inputs."""
        reasons = "; ".join(map(str, errors[:4]))
        super().__init__(f"no input could be read: {reasons}" if reasons else "no input was named")
        self.errors = errors
