"""The limits of `watch`, each with its reason.

They are apart from `forensics.limits`, whose every change compiles all kernels anew.
"""

from __future__ import annotations

from typing import Final

from forensics.limits import SECOND

LOOK_SECONDS: Final = 5
"""Wall-clock seconds between two looks for new octets: with the time of a judgement far within the
minute that a notice may take."""

HORIZON: Final = 3600 * SECOND
"""Time of the capture that is judged at each look, unless --horizon says otherwise. What was known
of keys before it is kept apart (`keepsake`)."""

PACKETS: Final = 2_000_000
"""Packets judged at each look at most: some five seconds of two cores. Where an hour has more, the
oldest inputs go first, so that neither time nor memory grows with the traffic."""

CATCH_UP: Final = 4
"""A backlog is taken in parts of this fraction of the horizon, so that none of it passes unseen."""

NOTICE_STRONG: Final = 2 * SECOND
"""Time of the capture that an incident of strong evidence must be old to be told: answers that
come together may change sides for a moment."""

NOTICE_WEAK: Final = 20 * SECOND
"""The same for weak evidence: what explains it (a key set, another server) is mostly seen by then,
and the minute is not over."""

NOTICE_RECOVERY: Final = 60 * SECOND
"""How long answers must have been good before an end is told: an outage that flaps does not end
with each good zone version."""

NOTICE_PAUSE: Final = 60 * SECOND
"""Changes that make nothing worse are told no more often."""

SETTLED: Final = 2 * SECOND
"""A compressed or C-DNS file is read when it has not changed for so long by the wall clock."""

AGED: Final = 10 * SECOND
"""A file not changed for so long when it is first seen is read where it lies; any other is taken
to be growing."""

DAMAGE_AGE: Final = 60 * SECOND
"""Damage is told of files that have not changed for so long: what is still being written ends
within a record."""

PIECE_OCTETS: Final = 16 * 2**20
"""Octets of a growing file in one piece: so much is read again at a look, and so much goes at once
when it is past the horizon."""

PIECE_SPAN: Final = 60 * SECOND
"""Time of the capture in one piece, for the same reasons."""

READ_OCTETS: Final = 128 * 2**20
"""Octets taken of one growing file at one look: a backlog is caught up with in steps."""

FIRST_FILES: Final = 1000
"""Files whose first packet is looked at when a folder is seen for the first time, the latest
changed ones: years of archive may lie there."""

KEEPSAKE_PACKETS: Final = 20_000
"""Exchanges about DNSKEY and DS RRsets kept of the time before the horizon, the latest ones."""

KEEPSAKE_AGE: Final = 3 * 86_400 * SECOND
"""How long they are kept: no key set of the root or a TLD has a longer TTL."""

HOOK_SECONDS: Final = 30
"""Seconds that a hook may take; then it is killed with all that it started."""

HOOKS: Final = 4
"""Hooks that run at once: one that hangs does not hold up the next notice."""

OUTBOX: Final = 1000
"""Notices that wait for their hook; beyond it the oldest is given up, and a line says so."""

EXPIRY_HOURS: Final = 6
"""Hours before the end of a signature still served from which on a notice is due, by default: a
night shift has time to act."""

EXPIRY_SHARE: Final = 10
"""Only where less than this percentage of the signature's lifetime is left: signers of short
signatures renew in the last tenth at the earliest, others days before."""

EVENTS: Final = 1000
"""Events remembered, the latest ones: a capture that accuses more zones at once is forged."""
