"""Everything the lab knows when a recording has ended."""

from dataclasses import dataclass

from labkit.clients import Observation
from labkit.incident import Incident, Stage
from labkit.monitor import Sightings


@dataclass(frozen=True)
class Recording:
    """One recording: the script, the stage it left, what was seen, and how much was recorded."""

    incident: Incident
    stage: Stage
    sightings: Sightings
    observations: list[Observation]
    versions: dict[str, str]
    packets: int
    dropped: int
    frames: int

    @property
    def is_outage(self) -> bool:
        """Whether the script broke something."""
        return self.stage.bad_serial is not None
