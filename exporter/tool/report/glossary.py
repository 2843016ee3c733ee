"""What the words of a bill mean, for people who pay for machines and do not run them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from exporter.tool.parts import Breakdown, words

# By how a bill is broken down: what is in the name of a part, and what that means.
MEANINGS: Final = {
    "resource": {
        "per_machine": '"Per machine" is a charge for each machine.',
        "storage": '"Storage" is for data kept in Viam\'s cloud.',
        "upload": '"Upload" is for data sent to Viam\'s cloud.',
        "egress": '"Egress" is for data sent out of Viam\'s cloud.',
        "compute": '"Compute" is for processing in Viam\'s cloud.',
        "binary_data": '"Binary data" means files, such as pictures.',
        "tabular_data": '"Tabular data" means readings, such as those of sensors.',
    },
    "source": {
        "org": '"Organization" has the organization\'s own charges.',
        "fragment": '"Fragment" has the charges of fragments, which are settings that machines '
        "share.",
    },
    "tier": {
        "": 'A tier is a name that the author of a fragment gives to its charges; "no tier" has '
        "all others.",
    },
}

UNDIVIDED: Final = {
    ("source", "org"): "All of it is the organization's own charges, none of it of fragments.",
    ("source", "fragment"): "All of it is charges of fragments.",
    ("tier", ""): "None of it belongs to a tier.",
}


def undivided(name: str, which: str) -> str:
    """Say that all of a bill is of one source or tier."""
    known = UNDIVIDED.get((which, name))
    return known or f"All of it belongs to the {which} {words(name, which)}."


def explained(made_of: Mapping[str, Breakdown]) -> str:
    """Return what the words in the tables of a bill mean, each once; empty if none needs it."""
    return " ".join(
        meaning
        for which, made in made_of.items()
        if which == "resource" or len(made.costs) > 1  # others are no table
        for word, meaning in MEANINGS[which].items()
        if any(word in part.name for part in made.costs)
    )
