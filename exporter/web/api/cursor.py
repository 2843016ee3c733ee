"""From where a page of organizations goes on: behind the id of the last one before.

So it stays right while organizations come and go: those that stay are listed once each.
"""

from __future__ import annotations

import base64
import binascii


def written(org_id: str) -> str:
    """Return the cursor that goes on behind an organization."""
    return base64.urlsafe_b64encode(org_id.encode()).decode().rstrip("=")


def read(cursor: str) -> str:
    """Return the id of the organization that a cursor goes on behind. Raises ValueError."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        org_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        org_id = ""
    if not org_id or written(org_id) != cursor:
        raise ValueError("must be the next_cursor of an earlier answer")
    return org_id
