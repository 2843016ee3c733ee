"""Names of files: wherever names and ids come from, they stay below the folder."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tool import file_names

ANY = st.text(st.characters(), max_size=300) | st.sampled_from(
    ["..", ".", "", "/etc/passwd", "a/../../b", "\0", "-rf", "~", "CON", "a\nb", "\u202egpj"]
)


@given(ANY, ANY, ANY)
def test_no_name_leads_anywhere_else(organization: str, org_id: str, invoice_id: str) -> None:
    """Parts are short, printable, never empty, never hidden, and never climb."""
    fields = {
        "organization": file_names.slug(organization),
        "organization_id": file_names.part(org_id),
        "date": file_names.UNDATED,
        "year": file_names.UNDATED,
        "id": file_names.part(invoice_id),
    }
    template = "{organization}/{organization_id}/{organization}_{organization_id}_{date}_{id}.pdf"
    parts = file_names.path(template, fields)
    assert len(parts) == 3
    assert parts[-1].endswith(".pdf")
    for part in parts:
        assert part.isprintable()
        assert not part.startswith((".", "-"))
        assert "/" not in part
        assert 0 < len(part.encode()) <= 255


@given(ANY, ANY)
def test_different_ids_are_different_files(one: str, other: str) -> None:
    """However much alike they are once what a path cannot hold is replaced."""
    assert (file_names.part(one) == file_names.part(other)) == (one == other)


NAMES = ANY | st.sampled_from(
    ["कि", "कु", "é", "e\u0301", "Acme", "ACME", "acme.", "é" * 70, "é" * 80]
)


@given(st.dictionaries(ANY, NAMES, max_size=6))
def test_no_two_organizations_have_the_same_folder(names: dict[str, str]) -> None:
    """However much alike their names are; the first of them has the one that people know."""
    folders = file_names.distinct(names.items())
    assert folders.keys() == names.keys()
    assert len({unicodedata.normalize("NFC", each).casefold() for each in folders.values()}) == len(
        names
    )
    for first in list(names)[:1]:
        assert folders[first] == file_names.slug(names[first])


def test_marks_are_part_of_a_name() -> None:
    """They tell words apart in many scripts, and one way of writing them counts."""
    assert file_names.slug("कि") == "कि"
    assert file_names.slug("कु") == "कु"
    assert file_names.slug("Cafe\u0301 Ü") == file_names.slug("Café Ü") == "café-ü"
    assert file_names.slug("ΐ") == unicodedata.normalize("NFC", file_names.slug("ΐ"))


@given(st.text("月é", min_size=55, max_size=70), st.text("月é", min_size=55, max_size=70))
def test_names_that_are_too_long_are_cut_and_stay_different(one: str, other: str) -> None:
    """Bytes count, not letters: a name has 255 of them, and its extension among those."""
    first, second = (
        file_names.path("{id}{organization}{id}.pdf", {"id": each, "organization": "x"})[0]
        for each in (one, other)
    )
    assert (first == second) == (one == other)
    assert max(len(each.encode()) for each in (first, second)) <= 255
    assert first.endswith(".pdf")
    assert second.endswith(".pdf")


def test_names_that_people_know_stay_readable() -> None:
    """Letters of any script and digits are kept."""
    assert file_names.slug("Acme Robotics, Inc.") == "acme-robotics-inc"
    assert file_names.slug("Ørnefjell Inspection") == "ørnefjell-inspection"
    assert file_names.part("3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01") == (
        "3c59dc04-8e88-4d24-8c5b-1f4d2a6e7a01"
    )


@pytest.mark.parametrize(
    "template",
    ["", "{id", "{id}/", "/{id}", "../{id}", ".{id}", "{}", "{id:>9}", "{0}", "x", "{id!r}"],
)
def test_a_template_that_cannot_be_used_is_refused(template: str) -> None:
    """By its form alone, before anything is asked for."""
    with pytest.raises(ValueError, match="must"):
        file_names.check(template)


def test_the_default_template_is_one_that_can_be_used() -> None:
    """And sorts by date within an organization."""
    assert file_names.check(file_names.DEFAULT_TEMPLATE) == "{organization}/{date}_{id}.pdf"
