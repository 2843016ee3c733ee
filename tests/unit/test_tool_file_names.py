"""Names of files: wherever names and ids come from, they stay below the folder."""

from __future__ import annotations

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
    parts = file_names.path("{organization}/{organization_id}/{date}_{id}.pdf", fields)
    assert len(parts) == 3
    for part in parts:
        assert part.isprintable()
        assert not part.startswith((".", "-"))
        assert "/" not in part
        assert 0 < len(part.encode()) <= 255


@given(ANY, ANY)
def test_different_ids_are_different_files(one: str, other: str) -> None:
    """However much alike they are once what a path cannot hold is replaced."""
    assert (file_names.part(one) == file_names.part(other)) == (one == other)


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
