"""How the billing API is reached: through which proxy, and whose certificates are trusted.

Both can depend on the environment. The same function says it when a configuration is checked and
when a channel is made.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from exporter.api.proxy import Proxy, choose
from exporter.base import files
from exporter.base.file_threads import FileThreads
from exporter.config import ApiConfig, ConfigError, Problem, certificates, read_certificates
from exporter.config.certificates import MAX_BYTES, TOO_LARGE

GRPC_FILE: Final = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
CERT_FILE: Final = "SSL_CERT_FILE"
CERT_DIR: Final = "SSL_CERT_DIR"  # several, with a colon between two
HASHED: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # what OpenSSL looks at in a folder
DEADLINE: Final = 10.0  # seconds to read certificates


class Roots(NamedTuple):
    """The certificate authorities that are trusted."""

    pem: bytes | None  # None: those that gRPC ships
    source: str  # for people


class Route(NamedTuple):
    """How the API is reached."""

    proxy: Proxy | None
    roots: Roots | None  # None without TLS


def route_to(api: ApiConfig, environ: Mapping[str, str]) -> Route:
    """Return how the API is reached. Reads files. Raises ConfigError with all that is wrong."""
    problems: list[Problem] = []
    proxy = roots = None
    try:
        proxy = choose(api.address, environ)
    except ConfigError as error:
        problems.extend(error.problems)
    try:
        roots = _roots(api.ca_file, environ) if api.tls else None
    except ConfigError as error:
        problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return Route(proxy, roots)


async def find_route(api: ApiConfig, environ: Mapping[str, str]) -> Route:
    """Return how the API is reached, as `route_to` does, without waiting for files that hang."""
    try:
        return await FileThreads(1).run(DEADLINE, None, route_to, api, environ)
    except TimeoutError as error:
        where = api.ca_file or "certificate authorities"
        raise ConfigError([Problem(str(where), None, "", f"cannot be read: {error}")]) from None


def _roots(ca_file: Path | None, environ: Mapping[str, str]) -> Roots:
    """Return what to trust: of these, the first that is set or there. Raises ConfigError.

    `ca_file`; gRPC's own variable; OpenSSL's two variables, both together; the system's.
    """
    if ca_file is not None:
        try:
            return Roots(read_certificates(ca_file), "api.ca_file")
        except ValueError as error:  # it was right when the configuration was checked
            raise ConfigError([Problem(str(ca_file), None, "api.ca_file", str(error))]) from None
    if environ.get(GRPC_FILE):
        return Roots(_of_variable(GRPC_FILE, environ), GRPC_FILE)
    set_ones = [name for name in (CERT_FILE, CERT_DIR) if environ.get(name)]
    if set_ones:
        parts = [_of_variable(name, environ) for name in set_ones]
        return Roots(certificates(b"".join(parts)), " and ".join(set_ones))
    return _system_roots()


def _of_variable(name: str, environ: Mapping[str, str]) -> bytes:
    """Return the certificates that a variable names. Raises ConfigError."""
    value = environ[name]
    try:
        return _of_folders(value) if name == CERT_DIR else read_certificates(Path(value))
    except ValueError as error:
        raise ConfigError([Problem("environment", None, name, str(error))]) from None


def _of_folders(value: str) -> bytes:
    """Return the certificates of folders made by `openssl rehash`. Raises ValueError."""
    content = bytearray()
    for path in _hashed(value):
        content += files.read(path, MAX_BYTES, TOO_LARGE) + b"\n"
        if len(content) > MAX_BYTES:
            raise ValueError(TOO_LARGE)
    if not content:
        raise ValueError("must name a folder with certificates that `openssl rehash` has hashed")
    try:
        return certificates(bytes(content))
    except ValueError as error:
        raise ValueError(f"must name a folder with {error}") from None


def _hashed(value: str) -> Iterator[Path]:
    """Yield the files that count; what is gone behind a link does not."""
    for folder in filter(None, value.split(":")):
        try:
            inside = sorted(Path(folder).iterdir())
            yield from [each for each in inside if HASHED.fullmatch(each.name) and each.is_file()]
        except OSError as error:
            rule = f"must name a folder that can be read: {error.strerror}"
            raise ValueError(rule) from None


def _system_roots() -> Roots:
    """Return the system's. Raises ConfigError if its bundle cannot be used."""
    places = ssl.get_default_verify_paths()  # its other fields read the process environment
    # Debian has its bundle among the single certificates.
    for path in (Path(places.openssl_cafile), Path(places.openssl_capath, "ca-certificates.crt")):
        try:
            if path.is_file():
                return Roots(read_certificates(path), str(path))
        except (OSError, ValueError) as error:
            raise ConfigError([Problem(str(path), None, "", str(error))]) from None
    return Roots(None, "gRPC")
