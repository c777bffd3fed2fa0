"""What must hold for every input, and what it is when it does not."""


class Broken(AssertionError):
    """A law that must hold for every input does not."""


def hold(condition: object, what: str) -> None:
    """Demand a law."""
    if not condition:
        raise Broken(what)
