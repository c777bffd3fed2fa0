"""The validating resolvers of the small world, one module a program, one entry in PROGRAMS."""

from labkit.resolving import bind, front, kresd, recursor, unbound
from labkit.resolving.setting import Program, Setting

__all__ = ["PROGRAMS", "Program", "Setting"]

PROGRAMS: dict[str, Program] = {
    "unbound": unbound.PROGRAM,
    "bind": bind.PROGRAM,
    "recursor": recursor.PROGRAM,
    "kresd": kresd.PROGRAM,
    "front": front.PROGRAM,
}
