"""What the clients of the small world ask: names in, below and beside the tested zones."""

import random
from collections.abc import Callable

from labkit.clients import Question
from labkit.plan import Plan

Choose = Callable[[random.Random], Question]
WEIGHTS = {"signed": 26, "unsigned": 22, "absent": 14, "host": 14, "zone-data": 8, "control": 16}
CONTROLS = (
    "dijk.nl.", "molen.nl.", "fiets.nl.", "polder.nl.", "alpha.zz.", "beta.zz.", "gamma.zz.",
)  # fmt: skip


def chooser_of(plan: Plan) -> Choose:
    """Return the drawing of the next question for this plan's zones."""

    def choose(chance: random.Random) -> Question:
        zone = chance.choice(plan.zones)
        below = "" if zone.origin == "." else zone.origin
        kinds = dict(WEIGHTS)
        for kind, labels in (("signed", zone.signed), ("unsigned", zone.unsigned)):
            if not labels:
                del kinds[kind]
        if not zone.hosts:
            del kinds["host"]
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        address = chance.choice(("A", "A", "AAAA"))
        host = chance.choice(("", "www.", "mail."))
        number = chance.randrange(10**6)
        if kind == "control":
            return Question(host + chance.choice(CONTROLS), address, kind)
        if kind in ("signed", "unsigned"):
            label = chance.choice(zone.signed if kind == "signed" else zone.unsigned)
            return Question(f"{host}{label}.{below}", address, kind)
        if kind == "host":
            name = chance.choice(zone.hosts).replace("*", f"w{number:06d}")
            return Question(f"{name}.{below}", address, kind)
        if kind == "absent":
            return Question(f"nx{number:06d}.{below}", address, kind)
        labels = (*zone.signed, *zone.unsigned)
        data = [Question(zone.origin, rdtype, kind) for rdtype in ("SOA", "NS", "DNSKEY", "DS")]
        data += [Question(f"{label}.{below}", "DS", kind) for label in labels]
        return chance.choice(data)

    return choose
