"""Progress of downloads: bars on a terminal, plain lines without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich import progress as rich_progress
from rich.console import Console
from rich.text import Text

from exporter.tool.output import printable


class Progress(Protocol):
    """Shows what is under way."""

    def file(self, path: str) -> AbstractContextManager[Callable[[int], None]]:
        """Show a file while inside; yields what is called with its bytes so far."""

    def say(self, line: str) -> None:
        """Print a line."""


@contextmanager
def progress(count: int) -> Iterator[Progress]:
    """Show the progress of so many downloads while inside."""
    console = Console(highlight=False)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
    )
    with rich_progress.Progress(*columns, console=console, transient=True) as bars:
        yield Bars(bars, count)


class Lines:
    """A line for each file, once it is there."""

    @contextmanager
    def file(self, path: str) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 - as Bars has it
        """Show nothing."""
        yield lambda _: None

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, flush=True)


class Bars:
    """A bar for all files, and the bytes of each that is under way."""

    def __init__(self, bars: rich_progress.Progress, count: int) -> None:
        self._bars = bars
        self._all = bars.add_task("invoices", total=count)

    @contextmanager
    def file(self, path: str) -> Iterator[Callable[[int], None]]:
        """Show a file while inside, by the bytes that have come: their number is not known."""
        name = printable(path)
        task: rich_progress.TaskID | None = None

        def received(size: int) -> None:
            nonlocal task
            if task is None:  # it waits for its turn until then
                task = self._bars.add_task(name, total=None)
            self._bars.update(task, description=f"{name}, {size >> 10} KiB")

        try:
            yield received
        finally:
            self._bars.advance(self._all)
            if task is not None:
                self._bars.remove_task(task)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(Text(line), soft_wrap=True)
