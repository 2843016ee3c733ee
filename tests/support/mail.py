"""A server that takes in mail; `python -m support.mail PORT` prints each as a line of JSON.

It knows as much of SMTP as a client needs that neither encrypts nor logs in.
"""

from __future__ import annotations

import json
import sys
from email import message_from_bytes, policy
from socketserver import StreamRequestHandler, ThreadingTCPServer


class _Conversation(StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline():
            command = line[:4].upper()
            if command == b"DATA":
                self._say("354 go on")
                self._take()
            self._say("221 bye" if command == b"QUIT" else "250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        part = mail.get_body(("plain",))
        text = part.get_content() if part else ""
        print(  # noqa: T201 - who started it reads that
            json.dumps({"to": mail["To"], "subject": mail["Subject"], "text": text}), flush=True
        )


def main(port: str) -> None:
    """Serve until it is stopped."""
    with ThreadingTCPServer(("127.0.0.1", int(port)), _Conversation) as server:
        print("ready", flush=True)  # noqa: T201 - who started it waits for that
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
