"""Our own declaration of google.rpc.Status and RetryInfo, against Google's."""

from __future__ import annotations

import subprocess

from exporter.pb import status_pb2
from support.process import PEER_PYTHON

PROGRAM = """
from google.rpc import error_details_pb2, status_pb2
status = status_pb2.Status(code=8, message="busy")
info = error_details_pb2.RetryInfo()
info.retry_delay.FromMilliseconds(1500)
status.details.add().Pack(info)
print(status.SerializeToString().hex())
"""


def test_what_google_s_own_messages_say_is_what_we_read() -> None:
    """Codes, type URL and delay, from bytes that nobody here wrote."""
    run = subprocess.run([PEER_PYTHON, "-c", PROGRAM], check=True, capture_output=True, text=True)
    status = status_pb2.Status.FromString(bytes.fromhex(run.stdout))
    assert (status.code, status.message) == (8, "busy")
    (detail,) = status.details
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    info = status_pb2.RetryInfo.FromString(detail.value)
    assert info.retry_delay.ToMilliseconds() == 1500
    assert status.SerializeToString().hex() == run.stdout.strip()
