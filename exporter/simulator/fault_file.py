"""A file of faults, one a line: how users change them while a simulator runs."""

from __future__ import annotations

from pathlib import Path

from exporter.base import files
from exporter.simulator.faults import FaultError, parse_lines
from exporter.simulator.injection import FaultSet, Injected


class FaultFile:
    """The faults of one file. Other faults, such as those of the command line, are not touched."""

    def __init__(self, file: Path, faults: FaultSet) -> None:
        self._file = file
        self._faults = faults
        self._injected: list[Injected] = []

    def __len__(self) -> int:
        return len(self._injected)

    def load(self) -> list[str]:
        """Put the faults of the file in force in place of those before, or return its errors.

        All or nothing: with an error, each a line for people, the faults before stay. Those of
        a good file start over, also the ones that were there before.
        """
        try:
            lines = files.content(self._file).decode().splitlines()
        except OSError as error:
            return [f"{self._file}: {error.strerror}"]
        except UnicodeDecodeError:
            return [f"{self._file}: is not UTF-8"]
        found, problems = parse_lines(lines)
        for number, fault in found:
            try:
                self._faults.check(fault)
            except FaultError as error:
                problems.append((number, str(error)))
        if problems:
            return [f"{self._file}:{number}: {problem}" for number, problem in sorted(problems)]
        for injected in self._injected:
            injected.clear()
        self._injected = [self._faults.inject(fault) for _, fault in found]
        return []
