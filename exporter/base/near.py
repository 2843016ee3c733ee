"""What somebody meant who mistyped a name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LONGEST = 64  # characters of a name that similar ones are looked for
MOST = 3  # that are named
CLOSE = 0.8  # of 1: a slip of a letter or two


def near(name: str, known: Iterable[str]) -> Sequence[str]:
    """Return the names that are close to one, or begin with what is, the closest first."""
    from difflib import get_close_matches  # noqa: PLC0415 - --help does not need it

    typed = name[:LONGEST].casefold()
    if not typed:  # all names begin with that
        return ()
    meant: dict[str, list[str]] = {}
    for each in known:
        folded = each.casefold()
        for text in {folded, folded[: len(typed)]}:
            meant.setdefault(text, []).append(each)
    found = get_close_matches(typed, meant, MOST, CLOSE)
    return list(dict.fromkeys(each for text in found for each in meant[text]))[:MOST]


def did_you_mean(names: Sequence[str]) -> str:
    """Return a question that has these names; empty without any."""
    return f"did you mean {' or '.join(names)}?" if names else ""
