"""Reads API keys, some from files that may hang."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple, cast

from exporter.api.billing import BillingError
from exporter.base.file_threads import FileThreads
from exporter.config import read_key_file
from exporter.model import ApiKey, Cause, Secret

DEADLINE: Final = 5.0  # seconds
# Files of a folder that are read at a time: so many threads hang at most when it does, and no key
# in another folder waits for them.
AT_ONCE: Final = 8


class Revealed(NamedTuple):
    """What a login sends."""

    id: str
    key: Secret


class KeyFiles:
    """Keys as they are now, for a file may have been rotated."""

    def __init__(self) -> None:
        self._folders: defaultdict[Path, FileThreads] = defaultdict(lambda: FileThreads(AT_ONCE))

    async def reveal(self, api_key: ApiKey) -> Revealed:
        """Return the key itself, and its id. Raises BillingError."""
        key_id, secret = api_key.id, api_key.secret
        if (file := api_key.id_file) is not None:
            key_id = (await self._read(file, f"api_key_id_file {file}")).reveal()
        if secret is None:
            file = cast("Path", api_key.file)  # one of the two is set
            secret = await self._read(file, f"api_key_file {file}")
        return Revealed(key_id, secret)

    async def _read(self, file: Path, named: str) -> Secret:
        try:
            return await self._folders[file.parent].run(DEADLINE, file, read_key_file, file)
        except TimeoutError as error:
            reason = f"{named} cannot be read: {error}"
            raise BillingError(Cause.CREDENTIALS, "KEY_FILE", reason) from None
        except ValueError as error:
            reason = f"{named} {error}"
            raise BillingError(Cause.CREDENTIALS, "KEY_FILE", reason) from error
