import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SourceType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_TYPE_UNSPECIFIED: _ClassVar[SourceType]
    SOURCE_TYPE_ORG: _ClassVar[SourceType]
    SOURCE_TYPE_FRAGMENT: _ClassVar[SourceType]

class UsageCostType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    USAGE_COST_TYPE_UNSPECIFIED: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_DATA_UPLOAD: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_DATA_EGRESS: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_REMOTE_CONTROL: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_STANDARD_COMPUTE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_BINARY_DATA_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_OTHER_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_PER_MACHINE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_TRIGGER_NOTIFICATION: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_TABULAR_DATA_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_CONFIG_HISTORY_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_LOGS_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_TRAINING_LOGS_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_PACKAGES_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_BINARY_DATA_UPLOAD: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_TABULAR_DATA_UPLOAD: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_LOGS_UPLOAD: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_BINARY_DATA_EGRESS: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_TABULAR_DATA_EGRESS: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_LOGS_EGRESS: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_TRAINING_LOGS_EGRESS: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_TABULAR_DATA_DATABASE_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_TABULAR_DATA_DATABASE_COMPUTE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_BINARY_DATA_CROSS_REGION_EGRESS: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_PIPELINE_SINK_CLOUD_STORAGE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_PIPELINE_SINK_COMPUTE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_PREMIUM_MODULE: _ClassVar[UsageCostType]
    USAGE_COST_TYPE_SIMULATION_COMPUTE: _ClassVar[UsageCostType]

class PaymentMethodType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAYMENT_METHOD_TYPE_UNSPECIFIED: _ClassVar[PaymentMethodType]
    PAYMENT_METHOD_TYPE_CARD: _ClassVar[PaymentMethodType]
    PAYMENT_METHOD_TYPE_USBANKACCOUNT: _ClassVar[PaymentMethodType]
SOURCE_TYPE_UNSPECIFIED: SourceType
SOURCE_TYPE_ORG: SourceType
SOURCE_TYPE_FRAGMENT: SourceType
USAGE_COST_TYPE_UNSPECIFIED: UsageCostType
USAGE_COST_TYPE_DATA_UPLOAD: UsageCostType
USAGE_COST_TYPE_DATA_EGRESS: UsageCostType
USAGE_COST_TYPE_REMOTE_CONTROL: UsageCostType
USAGE_COST_TYPE_STANDARD_COMPUTE: UsageCostType
USAGE_COST_TYPE_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_BINARY_DATA_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_OTHER_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_PER_MACHINE: UsageCostType
USAGE_COST_TYPE_TRIGGER_NOTIFICATION: UsageCostType
USAGE_COST_TYPE_TABULAR_DATA_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_CONFIG_HISTORY_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_LOGS_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_TRAINING_LOGS_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_PACKAGES_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_BINARY_DATA_UPLOAD: UsageCostType
USAGE_COST_TYPE_TABULAR_DATA_UPLOAD: UsageCostType
USAGE_COST_TYPE_LOGS_UPLOAD: UsageCostType
USAGE_COST_TYPE_BINARY_DATA_EGRESS: UsageCostType
USAGE_COST_TYPE_TABULAR_DATA_EGRESS: UsageCostType
USAGE_COST_TYPE_LOGS_EGRESS: UsageCostType
USAGE_COST_TYPE_TRAINING_LOGS_EGRESS: UsageCostType
USAGE_COST_TYPE_TABULAR_DATA_DATABASE_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_TABULAR_DATA_DATABASE_COMPUTE: UsageCostType
USAGE_COST_TYPE_BINARY_DATA_CROSS_REGION_EGRESS: UsageCostType
USAGE_COST_TYPE_PIPELINE_SINK_CLOUD_STORAGE: UsageCostType
USAGE_COST_TYPE_PIPELINE_SINK_COMPUTE: UsageCostType
USAGE_COST_TYPE_PREMIUM_MODULE: UsageCostType
USAGE_COST_TYPE_SIMULATION_COMPUTE: UsageCostType
PAYMENT_METHOD_TYPE_UNSPECIFIED: PaymentMethodType
PAYMENT_METHOD_TYPE_CARD: PaymentMethodType
PAYMENT_METHOD_TYPE_USBANKACCOUNT: PaymentMethodType

class GetCurrentMonthUsageRequest(_message.Message):
    __slots__ = ("org_id",)
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    def __init__(self, org_id: _Optional[str] = ...) -> None: ...

class GetCurrentMonthUsageResponse(_message.Message):
    __slots__ = ("start_date", "end_date", "cloud_storage_usage_cost", "data_upload_usage_cost", "data_egres_usage_cost", "remote_control_usage_cost", "standard_compute_usage_cost", "discount_amount", "total_usage_with_discount", "total_usage_without_discount", "per_machine_usage_cost", "binary_data_cloud_storage_usage_cost", "other_cloud_storage_usage_cost", "resource_usage_costs_by_source", "subtotal")
    START_DATE_FIELD_NUMBER: _ClassVar[int]
    END_DATE_FIELD_NUMBER: _ClassVar[int]
    CLOUD_STORAGE_USAGE_COST_FIELD_NUMBER: _ClassVar[int]
    DATA_UPLOAD_USAGE_COST_FIELD_NUMBER: _ClassVar[int]
    DATA_EGRES_USAGE_COST_FIELD_NUMBER: _ClassVar[int]
    REMOTE_CONTROL_USAGE_COST_FIELD_NUMBER: _ClassVar[int]
    STANDARD_COMPUTE_USAGE_COST_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_USAGE_WITH_DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_USAGE_WITHOUT_DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    PER_MACHINE_USAGE_COST_FIELD_NUMBER: _ClassVar[int]
    BINARY_DATA_CLOUD_STORAGE_USAGE_COST_FIELD_NUMBER: _ClassVar[int]
    OTHER_CLOUD_STORAGE_USAGE_COST_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_USAGE_COSTS_BY_SOURCE_FIELD_NUMBER: _ClassVar[int]
    SUBTOTAL_FIELD_NUMBER: _ClassVar[int]
    start_date: _timestamp_pb2.Timestamp
    end_date: _timestamp_pb2.Timestamp
    cloud_storage_usage_cost: float
    data_upload_usage_cost: float
    data_egres_usage_cost: float
    remote_control_usage_cost: float
    standard_compute_usage_cost: float
    discount_amount: float
    total_usage_with_discount: float
    total_usage_without_discount: float
    per_machine_usage_cost: float
    binary_data_cloud_storage_usage_cost: float
    other_cloud_storage_usage_cost: float
    resource_usage_costs_by_source: _containers.RepeatedCompositeFieldContainer[ResourceUsageCostsBySource]
    subtotal: float
    def __init__(self, start_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cloud_storage_usage_cost: _Optional[float] = ..., data_upload_usage_cost: _Optional[float] = ..., data_egres_usage_cost: _Optional[float] = ..., remote_control_usage_cost: _Optional[float] = ..., standard_compute_usage_cost: _Optional[float] = ..., discount_amount: _Optional[float] = ..., total_usage_with_discount: _Optional[float] = ..., total_usage_without_discount: _Optional[float] = ..., per_machine_usage_cost: _Optional[float] = ..., binary_data_cloud_storage_usage_cost: _Optional[float] = ..., other_cloud_storage_usage_cost: _Optional[float] = ..., resource_usage_costs_by_source: _Optional[_Iterable[_Union[ResourceUsageCostsBySource, _Mapping]]] = ..., subtotal: _Optional[float] = ...) -> None: ...

class ResourceUsageCostsBySource(_message.Message):
    __slots__ = ("source_type", "resource_usage_costs", "tier_name")
    SOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_USAGE_COSTS_FIELD_NUMBER: _ClassVar[int]
    TIER_NAME_FIELD_NUMBER: _ClassVar[int]
    source_type: SourceType
    resource_usage_costs: ResourceUsageCosts
    tier_name: str
    def __init__(self, source_type: _Optional[_Union[SourceType, str]] = ..., resource_usage_costs: _Optional[_Union[ResourceUsageCosts, _Mapping]] = ..., tier_name: _Optional[str] = ...) -> None: ...

class ResourceUsageCosts(_message.Message):
    __slots__ = ("usage_costs", "discount", "total_with_discount", "total_without_discount")
    USAGE_COSTS_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WITH_DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WITHOUT_DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    usage_costs: _containers.RepeatedCompositeFieldContainer[UsageCost]
    discount: float
    total_with_discount: float
    total_without_discount: float
    def __init__(self, usage_costs: _Optional[_Iterable[_Union[UsageCost, _Mapping]]] = ..., discount: _Optional[float] = ..., total_with_discount: _Optional[float] = ..., total_without_discount: _Optional[float] = ...) -> None: ...

class UsageCost(_message.Message):
    __slots__ = ("resource_type", "cost")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    resource_type: UsageCostType
    cost: float
    def __init__(self, resource_type: _Optional[_Union[UsageCostType, str]] = ..., cost: _Optional[float] = ...) -> None: ...

class GetOrgBillingInformationRequest(_message.Message):
    __slots__ = ("org_id",)
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    def __init__(self, org_id: _Optional[str] = ...) -> None: ...

class GetOrgBillingInformationResponse(_message.Message):
    __slots__ = ("type", "billing_email", "method", "billing_tier", "method_us_bank_account")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BILLING_EMAIL_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    BILLING_TIER_FIELD_NUMBER: _ClassVar[int]
    METHOD_US_BANK_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    type: PaymentMethodType
    billing_email: str
    method: PaymentMethodCard
    billing_tier: str
    method_us_bank_account: PaymentMethodUSBankAccount
    def __init__(self, type: _Optional[_Union[PaymentMethodType, str]] = ..., billing_email: _Optional[str] = ..., method: _Optional[_Union[PaymentMethodCard, _Mapping]] = ..., billing_tier: _Optional[str] = ..., method_us_bank_account: _Optional[_Union[PaymentMethodUSBankAccount, _Mapping]] = ...) -> None: ...

class PaymentMethodCard(_message.Message):
    __slots__ = ("brand", "last_four_digits")
    BRAND_FIELD_NUMBER: _ClassVar[int]
    LAST_FOUR_DIGITS_FIELD_NUMBER: _ClassVar[int]
    brand: str
    last_four_digits: str
    def __init__(self, brand: _Optional[str] = ..., last_four_digits: _Optional[str] = ...) -> None: ...

class PaymentMethodUSBankAccount(_message.Message):
    __slots__ = ("bank_name", "last_four_digits_account_number", "routing_number", "account_type", "verification_info")
    BANK_NAME_FIELD_NUMBER: _ClassVar[int]
    LAST_FOUR_DIGITS_ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ROUTING_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_TYPE_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_INFO_FIELD_NUMBER: _ClassVar[int]
    bank_name: str
    last_four_digits_account_number: str
    routing_number: str
    account_type: str
    verification_info: VerificationInfo
    def __init__(self, bank_name: _Optional[str] = ..., last_four_digits_account_number: _Optional[str] = ..., routing_number: _Optional[str] = ..., account_type: _Optional[str] = ..., verification_info: _Optional[_Union[VerificationInfo, _Mapping]] = ...) -> None: ...

class VerificationInfo(_message.Message):
    __slots__ = ("arrival_date", "hosted_verification_page_url")
    ARRIVAL_DATE_FIELD_NUMBER: _ClassVar[int]
    HOSTED_VERIFICATION_PAGE_URL_FIELD_NUMBER: _ClassVar[int]
    arrival_date: int
    hosted_verification_page_url: str
    def __init__(self, arrival_date: _Optional[int] = ..., hosted_verification_page_url: _Optional[str] = ...) -> None: ...

class GetInvoicesSummaryRequest(_message.Message):
    __slots__ = ("org_id",)
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    org_id: str
    def __init__(self, org_id: _Optional[str] = ...) -> None: ...

class GetInvoicesSummaryResponse(_message.Message):
    __slots__ = ("outstanding_balance", "invoices")
    OUTSTANDING_BALANCE_FIELD_NUMBER: _ClassVar[int]
    INVOICES_FIELD_NUMBER: _ClassVar[int]
    outstanding_balance: float
    invoices: _containers.RepeatedCompositeFieldContainer[InvoiceSummary]
    def __init__(self, outstanding_balance: _Optional[float] = ..., invoices: _Optional[_Iterable[_Union[InvoiceSummary, _Mapping]]] = ...) -> None: ...

class InvoiceSummary(_message.Message):
    __slots__ = ("id", "invoice_date", "invoice_amount", "status", "due_date", "paid_date", "last_payment_failure_reason", "last_payment_failure_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_DATE_FIELD_NUMBER: _ClassVar[int]
    INVOICE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DUE_DATE_FIELD_NUMBER: _ClassVar[int]
    PAID_DATE_FIELD_NUMBER: _ClassVar[int]
    LAST_PAYMENT_FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    LAST_PAYMENT_FAILURE_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    invoice_date: _timestamp_pb2.Timestamp
    invoice_amount: float
    status: str
    due_date: _timestamp_pb2.Timestamp
    paid_date: _timestamp_pb2.Timestamp
    last_payment_failure_reason: str
    last_payment_failure_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., invoice_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., invoice_amount: _Optional[float] = ..., status: _Optional[str] = ..., due_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., paid_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_payment_failure_reason: _Optional[str] = ..., last_payment_failure_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetInvoicePdfRequest(_message.Message):
    __slots__ = ("id", "org_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORG_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    org_id: str
    def __init__(self, id: _Optional[str] = ..., org_id: _Optional[str] = ...) -> None: ...

class GetInvoicePdfResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...
