"""Reads all bills with the client of Viam's own SDK.

    python sdk_client.py < SETTINGS.json

The settings are `address`, `folder` for the PDF files, and `organizations`, each with `id`,
`api_key_id` and `api_key`. Prints {organization id: {"usage": ..., "billing_information": ...,
"invoices": ..., "pdfs": {invoice id: file name}}}, the answers in protobuf's JSON with every
field that the SDK knows.
"""

# ruff: noqa: T201 - the test reads the output

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from viam.app.viam_client import ViamClient
from viam.rpc.dial import DialOptions


def plain(message: Message) -> dict[str, Any]:
    """Return a message as JSON, unset fields included."""
    return MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )


async def read(address: str, folder: Path, organization: dict[str, str]) -> dict[str, Any]:
    """Return everything that the SDK can read of an organization's bill."""
    options = DialOptions.with_api_key(organization["api_key"], organization["api_key_id"])
    options.insecure = True  # plaintext
    client = await ViamClient.create_from_dial_options(options, app_url=address)
    try:
        billing = client.billing_client
        org_id = organization["id"]
        invoices = await billing.get_invoices_summary(org_id)
        files = {
            invoice.id: f"{org_id}-{number}.pdf" for number, invoice in enumerate(invoices.invoices)
        }
        for invoice_id, file in files.items():
            await billing.get_invoice_pdf(invoice_id, org_id, str(folder / file))
        return {
            "usage": plain(await billing.get_current_month_usage(org_id)),
            "billing_information": plain(await billing.get_org_billing_information(org_id)),
            "invoices": plain(invoices),
            "pdfs": files,
        }
    finally:
        client.close()


async def main() -> None:
    """Read what standard input names."""
    settings = json.load(sys.stdin)
    folder = Path(settings["folder"])
    answers = {
        organization["id"]: await read(settings["address"], folder, organization)
        for organization in settings["organizations"]
    }
    print(json.dumps(answers))


if __name__ == "__main__":
    asyncio.run(main())
