"""Which path of a request is whose."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.paths import Paths, id_in
from exporter.web.routes import API_DAYS_PATH, ENDPOINTS, is_taken

PATHS = Paths(endpoint.path for endpoint in ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_a_path_is_found_as_it_is(endpoint: object) -> None:
    """With an id in place of the one that stands for any."""
    path = endpoint.path  # type: ignore[attr-defined]
    assert PATHS.find(path.replace("<id>", "3c59dc04")) == path


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_id_is_found_in_a_path(org_id: str) -> None:
    """Slashes, dots and per cents too, for the path is split before it is decoded."""
    for above, below in (("/organizations/", ""), ("/api/v1/organizations/", "/days")):
        raw = f"{above}{quote(org_id, safe='')}{below}"
        path = PATHS.find(raw)
        assert path is not None
        assert id_in(raw, path) == org_id


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/api/v1/organizations/a%2Fdays", "/api/v1/organizations/<id>"),
        ("/api/v1/organizations/a/days", API_DAYS_PATH),
        ("/api/v1/organizations//days", API_DAYS_PATH),
        ("/-/%68ealthy", "/-/healthy"),
        ("/api%2Fv1/organizations", None),
        ("/-%2Fhealthy", None),
        ("/api/v1/organizations/a/b", None),
        ("/api/v1/organizations/a/days/", None),
        ("/api/v1/organizations/%ff", None),
        ("//config", None),
        ("/config/", None),
        ("/./config", None),
        ("*", None),
        ("", None),
    ],
)
def test_a_path_is_split_before_it_is_decoded(raw: str, path: str | None) -> None:
    """And never resolved."""
    assert PATHS.find(raw) == path


def test_nothing_else_is_below_the_api() -> None:
    """Not the metrics, wherever they are told to be: there is more to come."""
    assert is_taken("/api/metrics")
    assert is_taken("/api/v1/organizations")
    assert is_taken("/api/v2")
    assert not is_taken("/metrics")
    assert not is_taken("/prom/api/metrics")
