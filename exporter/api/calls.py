"""Every call to Viam that there is in this program: all of them read."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

AUTH_SERVICE: Final = "proto.rpc.v1.AuthService"
BILLING_SERVICE: Final = "viam.app.v1.BillingService"
APP_SERVICE: Final = "viam.app.v1.AppService"


class Rpc(NamedTuple):
    """A call, by the names that it has on the wire."""

    service: str
    name: str

    @property
    def path(self) -> str:
        """What a request of it is sent to."""
        return f"/{self.service}/{self.name}"


class ReadRpc(StrEnum):
    """The calls that are polled, by bare name."""

    GET_CURRENT_MONTH_USAGE = "GetCurrentMonthUsage"
    GET_ORG_BILLING_INFORMATION = "GetOrgBillingInformation"
    GET_INVOICES_SUMMARY = "GetInvoicesSummary"


POLLED: Final[Mapping[ReadRpc, Rpc]] = {rpc: Rpc(BILLING_SERVICE, rpc) for rpc in ReadRpc}
AUTHENTICATE: Final = Rpc(AUTH_SERVICE, "Authenticate")
# A stream, which a command of people's downloads.
GET_INVOICE_PDF: Final = Rpc(BILLING_SERVICE, "GetInvoicePdf")
# For discovery, and only where that is switched on.
LIST_ORGANIZATIONS: Final = Rpc(APP_SERVICE, "ListOrganizations")

# How a failure says when to call again: a message in its trailing metadata.
RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"
