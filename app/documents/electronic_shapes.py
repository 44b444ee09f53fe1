"""What an electronic invoice says beyond the paper: addresses in fields, and VAT by the categories of EN 16931."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class VatCategory(StrEnum):
    """UNTDID 5305 as far as EN 16931 takes it and our treatments need it."""

    STANDARD = "S"  # any positive rate, a reduced one too
    ZERO_RATED = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    OUTSIDE = "O"  # not subject to VAT


class Syntax(StrEnum):
    """The two syntaxes that EN 16931-1 binds: UN/CEFACT Cross Industry Invoice D22B and OASIS UBL 2.1."""

    CII = "cii"
    UBL = "ubl"


@dataclass(frozen=True, slots=True)
class ElectronicParty:
    """`vat_id` with its country's prefix (BT-31, BT-48); `tax_id` any other number for taxes (BT-32).

    `identifier` is a seller's own (BT-29), because one that has no VAT number still has to be identified (BR-CO-26).
    """

    country: str
    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    vat_id: str | None = None
    tax_id: str | None = None
    identifier: str | None = None


@dataclass(frozen=True, slots=True)
class LineVat:
    """`rate` in percent, 0 for every category but `STANDARD`."""

    category: VatCategory
    rate: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Electronic:
    """`lines` in the order of the document's; `reason` and `reason_code` say why a line bears no tax (BT-120, BT-121).

    `reason_code` is of the VATEX list and may be left out where that has no code for the reason.
    """

    seller: ElectronicParty
    buyer: ElectronicParty
    lines: tuple[LineVat, ...]
    reason: str = ""
    reason_code: str = ""
