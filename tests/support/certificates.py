"""Certificates for tests, made by openssl as an administrator would."""

from __future__ import annotations

import subprocess
from pathlib import Path

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """A certificate authority with its files in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.crt, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        # Without what it may be used for, clients from Python 3.13 on would not take it.
        usage = ("-addext", "keyUsage=critical,keyCertSign")
        self._openssl("-subj", f"/CN={name}", "-keyout", self.key, "-out", self.crt, *usage)

    def issue(self, name: str, sans: str) -> tuple[Path, Path]:
        """Return the files of a certificate and its key. `sans` is `DNS:localhost,IP:127.0.0.1`."""
        crt, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        self._openssl(
            *("-subj", f"/CN={name}", "-keyout", key, "-out", crt),
            *("-CA", self.crt, "-CAkey", self.key),
            *("-addext", f"subjectAltName={sans}", "-addext", "basicConstraints=CA:FALSE"),
        )
        return crt, key

    def _openssl(self, *arguments: str | Path) -> None:
        command = ["openssl", "req", "-x509", "-days", "30", *KEY, *arguments]
        subprocess.run(command, check=True, capture_output=True)
