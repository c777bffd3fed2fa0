"""Names in presentation form: the short way to compare two says what their labels say."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.knowledge import is_subdomain, labels

LABELS = st.text(alphabet="ab", min_size=1, max_size=2) | st.sampled_from(["a\\.b", "\\.", "\\\\"])
NAMES = st.lists(LABELS, max_size=4).map(lambda parts: "".join(f"{part}." for part in parts) or ".")


@given(NAMES, NAMES)
@settings(max_examples=1000)
def test_a_name_lies_below_another_as_its_labels_say(name: str, ancestor: str) -> None:
    low, high = labels(name), labels(ancestor)
    below = len(low) >= len(high) and low[len(low) - len(high) :] == high
    assert is_subdomain(name, ancestor) == below


def test_an_escaped_dot_is_no_border() -> None:
    assert is_subdomain("a.example.", "example.")
    assert not is_subdomain("a\\.example.", "example.")
    assert not is_subdomain("aexample.", "example.")
    assert is_subdomain("a\\.example.", "a\\.example.")
    assert is_subdomain("anything.", ".")
