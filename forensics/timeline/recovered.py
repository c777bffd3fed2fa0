"""Recovery that no record of its own shows: what was bad is provably gone.

A record that was bad at a server and was never asked of it again leaves its stratum open, although
the rest of the capture may prove the end:

- *The link was broken* (DS, DNSKEY): it is one for all data of the zone at that server. An answer
  of the server that is secure again, after all that it served badly, closes each of its strata.
- *Signatures were bad*: they stood under an SOA serial. The server has gone over to a newer one,
  each class of records that went bad there and was asked again is good under it, and the class in
  question is good again at another server of the zone: so the new version of the zone is well
  signed, and this server serves it. Where the bad response showed no serial, one that was first
  seen behind it is newer in any case.

Nothing else closes anything: a server that shows nothing newer may serve the old for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forensics.timeline.moments import Moment
    from forensics.timeline.onset import Stratum


def close(strata: Sequence[Stratum], *, linked: bool) -> None:
    """Close the strata of one case that are provably gone, in place.

    Args:
        strata: all that went bad.
        linked: the link between the DS and the DNSKEY RRset was at fault.
    """
    again = {
        (stratum.side, stratum.signer, stratum.record_class)
        for stratum in strata
        if stratum.first_good is not None
    }
    proofs = [
        None if stratum.first_good is not None else _proof(stratum, strata, again, linked=linked)
        for stratum in strata
    ]
    for stratum, proof in zip(strata, proofs, strict=True):
        if proof is not None:
            stratum.first_good, stratum.is_inferred = proof, True


def _proof(
    stratum: Stratum, strata: Sequence[Stratum], again: set[tuple[int, int, int]], *, linked: bool
) -> Moment | None:
    """Give the sighting at the stratum's own place that proves its end, None if there is none."""
    here = [
        other
        for other in strata
        if (other.place, other.side, other.signer) == (stratum.place, stratum.side, stratum.signer)
    ]
    goods = [other.first_good for other in here if other.first_good is not None]
    # The last of them comes after all that was bad in the classes that were asked again.
    good = max(goods, default=None)
    if good is None or good.time <= max(other.last_bad.time for other in here):
        return None
    if linked:
        return good
    newer = bool(stratum.next_state) and good.time >= min(stratum.next_divide, stratum.turned)
    known = (stratum.side, stratum.signer, stratum.record_class) in again
    return good if newer and known else None
