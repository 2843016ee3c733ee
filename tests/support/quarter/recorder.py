"""What Prometheus is sent of a moment: samples, by its protocol of remote writing."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

Series = tuple[tuple[str, str], ...]  # labels and values, the name among them, in their order
Samples = Mapping[Series, float]

STALE: Final = struct.pack("<Q", 0x7FF0000000000002)  # the NaN by which Prometheus knows it
_LENGTH, _FIXED64 = 2, 1  # how protobuf writes a field


class Recorder:
    """A Prometheus that is sent samples of one moment after another."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._labels: dict[Series, bytes] = {}
        self._there: dict[str, frozenset[Series]] = {}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def query(self, expr: str, moment: float) -> list[Any]:
        """Return the series of an instant query."""
        body = urlencode({"query": expr, "time": f"{moment:.0f}"})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = json.loads(self._post("/api/v1/query", body.encode(), form))
        found: list[Any] = answer["data"]["result"]
        return found

    def write(self, source: str, moment: float, samples: Samples) -> None:
        """Send all that a source has at a moment. What it had before and has not ends there."""
        when = _field(2, 0) + _varint(round(moment * 1000))
        gone = self._there.get(source, frozenset()) - samples.keys()
        self._there[source] = frozenset(samples)
        values = {series: struct.pack("<d", value) for series, value in samples.items()}
        message = b"".join(
            _part(1, self._encoded(series) + _part(2, _field(1, _FIXED64) + value + when))
            for series, value in [*values.items(), *((series, STALE) for series in gone)]
        )
        if message:
            # Snappy of a single literal: nothing is compressed.
            literal = b"\xfc" + (len(message) - 1).to_bytes(4, "little") + message
            headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
            self._post("/api/v1/write", _varint(len(message)) + literal, headers)

    def _encoded(self, series: Series) -> bytes:
        known = self._labels.get(series)
        if known is None:
            labels = (_part(1, name.encode()) + _part(2, text.encode()) for name, text in series)
            known = self._labels[series] = b"".join(_part(1, label) for label in labels)
        return known

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        assert response.status // 100 == 2, answer
        return answer


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _field(number: int, kind: int) -> bytes:
    return bytes([number << 3 | kind])


def _part(number: int, content: bytes) -> bytes:
    return _field(number, _LENGTH) + _varint(len(content)) + content
