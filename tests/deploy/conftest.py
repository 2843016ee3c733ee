"""What several of these tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from generate import chart
from support import container, packages


@pytest.fixture(scope="session", autouse=True)
def _made() -> None:
    """Put into the chart and beside its manifests what git ignores, as `make helm` does."""
    for step in chart.STEPS:
        if step.ignored:
            step.run(check=False)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[container.Image]]:
    """Build the image twice: of two checkouts of a commit, the second by a more careful user."""
    container.base()
    first, second = (tmp_path_factory.mktemp("image") for _ in range(2))
    packages.repository(first / "checkout")
    clone = f"umask 077 && git clone --quiet {first}/checkout {second}/checkout"
    subprocess.run(["sh", "-c", clone], check=True)
    built = [container.build(folder / "checkout", folder) for folder in (first, second)]
    yield built
    for image in built:
        container.buildah("rmi", "--force", image.name)


@pytest.fixture(scope="session")
def image(images: list[container.Image]) -> container.Image:
    """Return the one that more can be wrong with."""
    return images[-1]


@pytest.fixture(scope="session")
def working(image: container.Image) -> Iterator[str]:
    """Return the name of a container of it."""
    with container.container(image.name) as made:
        yield made
