"""How `pytest --dist=loadfile` shares out tests: those of a file share what they make."""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling

# They share the image, which takes minutes to build.
IMAGE: Final = ("test_container_image.py", "test_container_run.py")


class Scheduling(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Gives each file to one process, and both about the image to the same."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "image" if file.endswith(IMAGE) else file
