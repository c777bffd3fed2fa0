"""The outages and controls of the small world: one module a mechanism, one entry in PLANS each."""

from labkit.incidents import (
    al_2026,
    broken_zone,
    controls,
    ds_mismatch,
    expired,
    network,
    operators,
    out_of_step,
    roots,
    ru_2024,
)
from labkit.plan import Plan

PLANS: tuple[Plan, ...] = (
    ru_2024.PLAN,
    *expired.PLANS,
    *ds_mismatch.PLANS,
    al_2026.PLAN,
    *out_of_step.PLANS,
    *broken_zone.PLANS,
    *operators.PLANS,
    *roots.PLANS,
    *controls.PLANS,
    *network.PLANS,
)
