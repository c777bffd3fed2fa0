"""Registrable domains: of each name what the whole public suffix list says."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PSLFILE, PublicSuffixList

from forensics.timeline.registrable import domain

_TOPS = ("de", "com", "uk", "jp", "ck", "xn--p1ai", "xn--j6w193g", "internal", "arpa", "1", "-")
_LABELS = ("a", "co", "www", "city", "kawasaki", "kobe", "com", "blogspot", "xn--55qx5d", "*", "!a")


@cache
def whole() -> PublicSuffixList:
    return PublicSuffixList()


def said(name: str) -> str | None:
    found = whole().privatesuffix(name.rstrip("."))
    return None if found is None else f"{found}."


@given(st.lists(st.sampled_from(_LABELS), max_size=4), st.sampled_from(_TOPS))
def test_a_part_of_the_list_says_of_a_name_what_the_whole_list_says(below, top):
    name = ".".join([*below, top]) + "."
    assert domain(name) == said(name)


def test_every_rule_of_the_list_holds_for_the_names_at_and_below_it():
    lines = Path(PSLFILE).read_text(encoding="utf-8").splitlines()
    words = [line.split(" ")[0].strip() for line in lines]
    rules = [word.lstrip("!*.") for word in words if word and not word.startswith("//")]
    assert len(rules) > 5_000
    for rule in rules:
        encoded = rule.encode("idna").decode()
        for name in (f"{encoded}.", f"one.{encoded}.", f"two.one.{encoded}."):
            assert domain(name) == said(name), name


@pytest.mark.parametrize("name", [".", "de.", "co.uk.", "a\\.b.de."])
def test_a_suffix_has_no_registrable_domain_nor_has_what_the_list_cannot_split(name):
    assert domain(name) is None
