"""Exemption certificates of an account: listed, sent in, fetched as the paper they are."""

import base64
import binascii
from datetime import date, datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import ApiKey
from app.agreements import papers
from app.agreements.papers import PaperRefused, Upload
from app.core import paging
from app.core.errors import Invalid, NotFound
from app.flows import exemptions
from app.flows.exemptions import TooManyWaiting
from app.tax.certificates import Stated
from app.tax.models import CertificateReason, CertificateState, ExemptionCertificate
from app.web.api.access import KEYED, OfAccount, find, key_with, sees, visible
from app.web.api.previews import named
from app.web.api.shapes import ID, In, JsonRoute, Limit, Line, PageOut, cursor
from app.web.deps import Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/exemption_certificates", tags=["accounts"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("accounts:read")]
Writer = Annotated[ApiKey, key_with("accounts:write")]
_PAPER: dict[int | str, dict[str, Any]] = {
    200: {"description": "The paper as it was sent in", "content": {"application/pdf": {}, "image/png": {},
                                                                   "image/jpeg": {}}}
}  # fmt: skip


class CertificateIn(In):
    """`expires_on` is the last day, left out for one that has none. `content`: a PDF, PNG or JPEG of at most 10 MB, as
    base64.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "jurisdiction": "US-NY", "reason": "resale",
        "number": "ST-120-4711", "signed_on": "2026-11-01", "expires_on": "2029-10-31", "content": "JVBERi0xLjcg…",
    }})  # fmt: skip

    account_id: Annotated[str, StringConstraints(pattern=f"^acc_{ID}$")]
    jurisdiction: Annotated[Line, Field(description="US-NY, CA-BC, DE.", min_length=2, max_length=10)]
    reason: CertificateReason
    number: Annotated[Line, Field(min_length=1, max_length=60)]
    signed_on: date
    expires_on: date | None = None
    name: Line = ""
    content: Annotated[str, Field(min_length=1, max_length=14_000_000)]

    def upload(self) -> Upload:
        """Raises Invalid for what is not base64."""
        try:
            return Upload(base64.b64decode(self.content, validate=True), self.name)
        except (binascii.Error, ValueError) as exc:
            raise Invalid("It is not base64.", param="content") from exc


class CertificateOut(BaseModel):
    """Only an `accepted` one counts, up to and including `expires_on`. `note` is the reason of a no."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "exc_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "jurisdiction": "US-NY", "reason": "resale", "number": "RS-1", "signed_on": "2026-11-01", "expires_on": None,
        "state": "submitted", "note": None, "submitted_at": "2026-11-22T09:00:00Z", "reviewed_at": None,
        "revoked_at": None,
    }})  # fmt: skip

    id: str
    account_id: str
    jurisdiction: str
    reason: CertificateReason
    number: str
    signed_on: date
    expires_on: date | None
    state: CertificateState
    note: str | None
    submitted_at: datetime
    reviewed_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: ExemptionCertificate) -> Self:
        told = row.review_note if row.state is CertificateState.REJECTED else row.revoked_why
        return cls(
            id=row.id, account_id=row.account_id, jurisdiction=row.jurisdiction, reason=row.reason, number=row.number,
            signed_on=row.signed_on, expires_on=row.expires_on, state=row.state, note=told,
            submitted_at=row.submitted_at, reviewed_at=row.reviewed_at, revoked_at=row.revoked_at,
        )  # fmt: skip


class CertificateList(PageOut[CertificateOut]):
    pass


@router.get("", responses=problems(*KEYED))
def list_certificates(
    tx: Tx, key: Reader, state: CertificateState | None = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("exc")] = None,
) -> CertificateList:  # fmt: skip
    """Newest first."""
    query = visible(select(ExemptionCertificate), col(ExemptionCertificate.account_id), key, account_id)
    if state is not None:
        query = query.where(col(ExemptionCertificate.state) == state)
    found = paging.page(tx, query, col(ExemptionCertificate.id), limit=limit, starting_after=starting_after)
    return CertificateList(data=[CertificateOut.of(row) for row in found.data], has_more=found.has_more)


@router.post("", status_code=201, responses=problems(*KEYED, NotFound, Invalid, PaperRefused, TooManyWaiting))
def submit_certificate(body: CertificateIn, ports: Wired, key: Writer) -> CertificateOut:
    """Send one in. It waits until a person of the vendor has looked at it; nothing is exempt before."""
    if not sees(key, body.account_id):
        raise NotFound(f"There is no {body.account_id} here.")
    stated = Stated(body.jurisdiction, body.reason.value, body.number, body.signed_on, body.expires_on)
    with named(file="content"), ports.db.transaction() as tx:
        row = exemptions.submit(
            tx, body.account_id, stated, body.upload(), by=key.id, now=ports.clock.now()
        )  # fmt: skip
        return CertificateOut.of(row)


@router.get("/{certificate_id}", responses=problems(*KEYED, NotFound))
def get_certificate(certificate_id: str, tx: Tx, key: Reader) -> CertificateOut:
    """One certificate, with what became of it."""
    return CertificateOut.of(find(tx, ExemptionCertificate, "exc", certificate_id, key))


@router.get("/{certificate_id}/paper", response_class=Response, responses=problems(*KEYED, NotFound) | _PAPER)
def get_certificate_paper(certificate_id: str, tx: Tx, key: Reader) -> Response:
    """The paper as it was sent in."""
    row = find(tx, ExemptionCertificate, "exc", certificate_id, key)
    kept = papers.get(tx, row.paper_id)
    headers = {"Content-Disposition": f'attachment; filename="{row.id}.{papers.kind_of(kept.content)[1]}"'}
    return Response(kept.content, media_type=kept.media_type, headers=headers)
