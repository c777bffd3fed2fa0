"""Run the analyzer over recordings, and write the table."""

import inspect
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from labkit.scoring.inputs import KINDS, Recorded
from labkit.scoring.judge import COLUMNS, Row, judge

ROOT = Path(__file__).resolve().parents[3]
CAPTURES = ROOT / "captures"
TABLE = CAPTURES / "SCORE.md"
HEAD = """\
# Score

Written by `scripts/lab score --write`; CI compares it. Each recording of this folder, what the
analyzer says of it from several inputs, and whether the lab's truth bears it out.

- Inputs: `pcap` all packets; `dnstap` the resolvers' own frames; `client` and `upstream` the
  packets of one side of the resolvers alone; `logs` the pcap with the resolvers' logs.
- `right`: every zone and reason is named, the brackets overlap the truth's intervals, and no
  incident or mitigation is invented. `unseen`: the input cannot show the cause, for the reason that
  stands below the table (`UNSEEN.toml`), and nothing is wrong; where clients were told of it, the
  report says so with the right zone, and brackets that overlap what clients could see.
- Brackets: `yes` overlaps; `open` lacks a bound; `caches` ends within the TTL that caches held the
  old after the repair; `miss` does not overlap, by so much.
- Servers: how many of the servers that were bad are named, + those named that were not.
- `false`: incidents that are none; near-misses in brackets.

What is wrong in here is wrong in the program, and stands until it is mended.
"""


def recordings(names: Iterable[str] = ()) -> list[Recorded]:
    """Return the recordings of these names, or all, in order of name."""
    wanted = set(names)
    folders = sorted(path.parent for path in CAPTURES.glob("*/truth.toml"))
    return [Recorded(f) for f in folders if not wanted or f.name in wanted]


def kinds() -> tuple[str, ...]:
    """Return the inputs that this version of the program can read."""
    from forensics.pipeline import Options

    reads_logs = "resolver_logs" in inspect.signature(Options).parameters
    return KINDS if reads_logs else KINDS[:-1]


def score(recorded: Recorded, kind: str, scratch: Path) -> Row:
    """Analyse one input of one recording and hold the report against the truth."""
    from forensics.pipeline import Options, analyze

    options: dict[str, tuple[str, ...]] = {"trust_anchors": (str(recorded.anchor),)}
    if kind == "logs":
        options["resolver_logs"] = tuple(str(path) for path in recorded.logs)
    out = scratch / f"{recorded.name}-{kind}"
    paths = [str(path) for path in recorded.inputs(kind, scratch)]
    analyze(paths, out, Options(**options), figures=False)  # type: ignore[arg-type]
    report = json.loads((out / "report.json").read_text())
    return judge(recorded.truth, kind, report, recorded.unseen(kind))


def rows(names: Iterable[str], some_kinds: Iterable[str]) -> Iterator[Row]:
    """Yield the rows of the table, recording by recording."""
    chosen = list(some_kinds)
    with tempfile.TemporaryDirectory(prefix="dns-score-") as folder:
        for recorded in recordings(names):
            for kind in chosen:
                yield score(recorded, kind, Path(folder))


def line(cells: Iterable[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def table(scored: Iterable[Row]) -> str:
    """Return the whole table as Markdown, one section a recording."""
    by_kind: dict[str, list[str]] = {}
    sections: dict[str, list[Row]] = {}
    for row in scored:
        by_kind.setdefault(row.kind, []).append(row.verdict)
        sections.setdefault(row.capture, []).append(row)
    lines = [*HEAD.rstrip().split("\n", 1)]
    lines.insert(1, f"\n{totals(by_kind)}")
    titles = {recorded.name: _expected(recorded) for recorded in recordings()}
    for name, rows in sections.items():
        lines += ["", f"## {name}", titles[name], "", line(COLUMNS), line("---" for _ in COLUMNS)]
        lines += [line(row.cells()) for row in rows]
        unseen = [row for row in rows if row.verdict == "unseen"]
        lines += ["", *(f"- {row.kind}: {row.unseen}" for row in unseen)] if unseen else []
    return "\n".join([*lines, ""])


def totals(by_kind: dict[str, list[str]]) -> str:
    """Say how many inputs of each kind are right, and how many cannot show the cause."""
    words = []
    for kind, verdicts in by_kind.items():
        unseen = verdicts.count("unseen")
        more = f" ({unseen} cannot show it)" if unseen else ""
        words.append(f"{kind} {verdicts.count('right')}/{len(verdicts)}{more}")
    return f"Right: {', '.join(words)}."


def _expected(recorded: Recorded) -> str:
    truth = recorded.truth
    if truth["expected"] == "no incident":
        return "Truth: no incident."
    words = [truth["expected"], truth["zone"], truth.get("reason", "")]
    return "Truth: " + " ".join(filter(None, words)) + f", {truth.get('view', 'published')} view."


def print_rows(names: list[str], some_kinds: list[str], *, write: bool) -> int:
    """Score, print each row as it comes, and write the table if asked to; return exit status."""
    done = []
    for row in rows(names, some_kinds or kinds()):
        print(f"{row.capture:20} " + " | ".join(row.cells()), flush=True)
        done.append(row)
    if write:
        if names or some_kinds:
            print("--write needs the whole library", file=sys.stderr)
            return 2
        TABLE.write_text(table(done))
    return 0
