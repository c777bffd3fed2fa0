"""Data flows one way: the architecture held by reading the imports of every module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "forensics"
STAGES = (
    "capture",
    "transactions",
    "evidence",
    "keyring",
    "validation",
    "testimony",
    "timeline",
    "report",
    "archive",
    "explanation",
    "rehearsal",
)
COMMON = {"schemas", "vocabulary", "errors", "limits", "knowledge", "beside", "jsontext", "wire"}
TOP = {
    "cli",
    "terminal",
    "pipeline",
    "browse",
    "anonymity",
    "arguments",
    "cryptopan",
    "privatenames",
    "assembly",
    "exhibits",
    "unharmed",
    "hearing",
    "judging",
    "instants",
    "heldviews",
    "extract",
    "options",
    "output",
    "ingest",
    "openends",
    "part",
    "joining",
    "seams",
    "chaining",
    "verifying",
    "partfiles",
    "stitching",
    "batch",
    "crew",
    "record",
    "watch",
    "watch_command",
    # It runs the whole pipeline at each look, and stands above it.
    "watching",
    "explain",
    "rehearse",
    "rehearsing",
    "table_commands",
    "scope",
    "replay",
    "api",
    "__init__",
}
ALLOWED = {stage: COMMON | {stage} for stage in STAGES} | {
    # The other end of the pipeline: it asks the tables with the rules of validation.
    "explanation": COMMON | {"explanation", "validation"},
    # Likewise: it holds a zone file against the tables.
    "rehearsal": COMMON | {"rehearsal", "validation"},
    "wire": {"wire", "limits", "errors", "vocabulary"},
    "schemas": set(),
    "vocabulary": set(),
    "errors": set(),
    "limits": set(),
    "beside": set(),
    "jsontext": set(),
    "knowledge": {"schemas", "vocabulary", "errors", "limits"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> set[str]:
    """Names of the parts of the package that a module imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            names = [base] if base != "forensics" else [f"forensics.{a.name}" for a in node.names]
        for name in names:
            words = name.split(".")
            if words[0] == "forensics" and len(words) > 1:
                found.add(words[1])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_stages_import_only_what_is_common(path: Path) -> None:
    part = part_of(path)
    if part in TOP:
        return
    forbidden = imports(path) - ALLOWED[part] - {"__version__"}
    assert not forbidden, f"{path} imports {sorted(forbidden)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_cli_reads_the_clock_and_nothing_evaluates(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            assert call not in {"eval", "exec", "os.system", "pickle.loads", "pickle.load"}
            if path.name != "cli.py":
                assert call not in {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path} has no docstring"
    assert "utils" not in path.stem
