"""The rules of single values, and the types that carry them into the models.

Each function takes what stands in the file and returns what the program works with, or raises
ValueError with the rule in words. No message repeats the value.
"""

# ruff: noqa: TRY004 - ValueErrors are collected; a TypeError would end the program

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from exporter.base import files
from exporter.base.address import MAX_PORT
from exporter.base.text import RULE, is_text
from exporter.config.duration import format_duration, parse_duration
from exporter.config.sections import Context, Kind
from exporter.model import Secret

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WHOLE_NUMBER = re.compile("[-+]?[0-9]{1,18}")
_LABEL_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
_HOST = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9.])?")
_PORT = re.compile("[0-9]{1,5}")

ANYTHING = ".*"  # the default pattern
MAX_KEY_FILE_BYTES = 65_536  # an API key has 32; a wrong path may lead to anything


# Prometheus, and the alerts on top of it, set these: as a label of ours they would get lost.
PROMETHEUS_LABELS = frozenset(("job", "instance", "severity", "alertname"))


def string(value: object) -> str:
    """Return a string that is not empty and can be printed."""
    text = _string(value)
    if not text.isprintable():
        raise ValueError("must not contain control or invisible characters")
    return text


def name(value: object) -> str:
    """Return a string that is text for people, and not empty: white space of any script is, too."""
    text = _string(value)
    if not is_text(text):
        raise ValueError(RULE)
    return text


def _string(value: object) -> str:
    if isinstance(value, (bool, int, float)):
        raise ValueError("must be a string: put it in quotes")
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not value:
        raise ValueError("must not be empty")
    return value


def boolean(value: object) -> bool:
    """Return a boolean; the words are for values from the environment."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("must be true or false")


def number(value: object) -> float:
    """Return a finite number that is not below 0; digits in quotes count."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isinf(value):
        raise ValueError("must be a finite number")
    if value < 0:
        raise ValueError("must not be below 0")
    return float(value)


def whole_number(value: object) -> int:
    """Return a whole number above 0; digits in quotes count."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    if value < 1:
        raise ValueError("must be above 0")
    return value


def duration(value: object) -> float:
    """Return seconds."""
    return parse_duration(value if isinstance(value, str) else "")


def file(value: object, context: Context) -> Path:
    """Return the path of a file. A relative one starts at the configuration's folder.

    `~` at the start is the home folder.
    """
    return context.folder / files.named(name(value))


def address(value: object) -> str:
    """Return `host:port`; an IPv6 host stands in brackets."""
    text = string(value)
    if "://" in text:
        raise ValueError("must be host:port, without https:// or any other scheme")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("must be host:port, such as app.viam.com:443")
    if not (_PORT.fullmatch(port) and 1 <= int(port) <= MAX_PORT):
        raise ValueError("must end in a port between 1 and 65535")
    if host.startswith("[") and host.endswith("]"):
        _require_ipv6(host[1:-1])
    elif ":" in host:
        raise ValueError("must have an IPv6 host in brackets, such as [::1]:443")
    elif not _HOST.fullmatch(host):
        raise ValueError("must have a host name or an IP address before the port")
    return text


def _require_ipv6(host: str) -> None:
    try:
        IPv6Address(host)
    except ValueError:
        raise ValueError("must have an IPv6 address between the brackets") from None


def label_name(value: object, context: Context) -> str:
    """Return a label name that Prometheus allows and that nothing else uses."""
    name = string(value)
    if not _LABEL_NAME.fullmatch(name):
        raise ValueError("is not a label name: use letters, digits and _, but no digit first")
    if name.startswith("__"):
        raise ValueError("is not a label name: names that begin with __ belong to Prometheus")
    if name in PROMETHEUS_LABELS:
        raise ValueError("belongs to Prometheus: use another label name")
    if name in context.reserved_labels:
        raise ValueError("is a label of the metrics themselves: use another name")
    return name


def regular_expression(value: object) -> str:
    """Return a pattern that `matcher` takes, and that Python would read in the same way."""
    pattern = name(value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", FutureWarning)  # "possible nested set", and its like
            re.compile(pattern)
    except FutureWarning:
        raise ValueError("must have a backslash before [, --, && and ~~ in a set") from None
    except (re.error, OverflowError, RecursionError):
        raise ValueError("must be a regular expression") from None
    _linear(pattern)
    matcher(pattern)  # a comment would take its end along
    if _READ_DIFFERENTLY.search(_SETS.sub("x", pattern)):
        raise ValueError("must not contain *+, ++, ?+, }+, \\< or \\>, which are read differently")
    return pattern


# Escaped characters but for those that are looked for, and sets.
_SETS = re.compile(r"\\[^<>]|\[\^?\]?(?:\\.|[^\]\\])*\]")
_READ_DIFFERENTLY = re.compile(r"[*+?}]\+|\\[<>]")


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a whole text matches, in time linear in its length.

    What it is given are names from a server, against which `re` could take minutes.
    """
    if pattern == ANYTHING:
        return lambda _text: True
    return _linear(rf"\A(?s:{pattern})\z").isinstance_python


def _linear(pattern: str) -> SchemaValidator:
    """Return a pattern for the engine in pydantic, Rust's regex. Raises ValueError."""
    # It takes 4 MB, and few write patterns.
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # noqa: PLC0415

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        raise ValueError(
            "must be a regular expression that can be matched in linear time: without look-around, "
            "back references, conditions and \\Z, with { only before counts, and not too large"
        ) from None


def secret(value: object) -> Secret:
    """Return an API key. White space in it is always an accident, which no server explains."""
    text = _string(value)
    if text.isspace():
        raise ValueError("must not be empty")
    if "\n" in text or "\r" in text:
        raise ValueError("must be a single line")
    if any(character.isspace() for character in string(text)):
        raise ValueError("must not contain white space")
    return Secret(text)


def read_key_file(path: Path) -> Secret:
    """Read an API key, or its id; a line end after it is not part of it.

    Raises ValueError with the rule: missing, unreadable, no regular file (which could not be
    read again), too long, not UTF-8, empty, or with several lines, white space or control
    characters inside.
    """
    content = files.read(
        path,
        MAX_KEY_FILE_BYTES,
        "must name a file that holds an API key, or its id, and nothing else",
    )
    try:
        return secret(content.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        raise ValueError("must name a file in UTF-8") from None
    except ValueError as error:
        raise ValueError(f"names a file whose content {error}") from None


String = Annotated[str, Kind("string", string)]
Name = Annotated[str, Kind("string", name)]
Boolean = Annotated[bool, Kind("boolean", boolean)]
Number = Annotated[float, Kind("number", number)]
WholeNumber = Annotated[int, Kind("whole number", whole_number)]
Duration = Annotated[float, Kind("duration", duration, format_duration)]
File = Annotated[Path, Kind("file name", file, str, needs_context=True)]
Address = Annotated[str, Kind("host:port", address)]
LabelName = Annotated[str, Kind("label name", label_name, needs_context=True)]
RegularExpression = Annotated[str, Kind("regular expression", regular_expression)]
ApiKeyText = Annotated[Secret, Kind("secret string", secret)]
