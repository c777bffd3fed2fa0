"""Every rule in README.md has the two tests that it names: one that accuses, one that does not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROW = re.compile(r"\| (.+?) \| `(\w+)::(\w+)` \| `(\w+)::(\w+)` \|")


def named_in(folder: str) -> set[str]:
    found = set()
    for path in (HERE.parent / folder).glob("test_*.py"):
        tree = ast.parse(path.read_text())
        found |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    return found


def test_each_rule_is_held_in_both_directions() -> None:
    lines = (HERE / "README.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    rules = [ROW.fullmatch(line) for line in table]
    assert all(rules), [line for line, rule in zip(table, rules, strict=True) if not rule]
    known = {folder: named_in(folder) for folder in ("validation", "adversary", "timeline")}
    for rule in rules:
        _, *named = rule.groups()
        for folder, test in zip(named[::2], named[1::2], strict=True):
            assert test in known[folder], (rule[1], test)
        assert named[:2] != named[2:], rule[1]
    assert len(rules) >= 40
