"""`POST /api/v1/trials`: a Mattermost server asks for its trial, as it asks its vendor's portal (R-LIC-9).

The contract is the server's: `{"license": text}`, or a refusal as `{"message": sentence}`; 451 means an embargoed
country to it (reference/licensing.md §1.4). Fields of newer servers that we do not know are passed over.
"""

import json
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Final

import pycountry
from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from app.core.errors import DomainError, Invalid
from app.flows import trial
from app.flows.ports import Ports
from app.flows.trial import Asked
from app.licenses.trial_models import TrialDoor
from app.licenses.trials import Tried
from app.web.api.shapes import Email, Line, strict_json
from app.web.deps import client_ip, count_try

router = APIRouter(tags=["vendor portal"])

# A company's servers share an address; nobody sets up so many in an hour.
TRIES: Final = (10, 3600)
_REMEDIES: Final = {
    "server_id": "send the server's own id, 1 to 64 letters and digits",
    "email": "send an address such as name@company.example", "contact_email": "the same, or leave it out",
    "name": "give the person's name, at most 200 characters", "contact_name": "the same, or leave it out",
    "company_name": "give the company's name, at most 200 characters",
    "company_country": "give the country by its name, or as two letters such as US",
    "users": "give how many people will use it, as a whole number from 1 on",
    "terms_accepted": "accept the terms, then send true",
    "receive_emails_accepted": "send true or false",
}  # fmt: skip
_Text = Annotated[Line, BeforeValidator(lambda value: "" if value is None else value)]


class TrialIn(BaseModel):
    """What a server sends. `contact_*` is who answers for the company, where that is not who pressed the button."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True, json_schema_extra={"example": {
        "server_id": "ehsr1oaxbty8bmw6xqhp8pj7pe", "email": "ada@example.de", "name": "Ada Beispiel",
        "site_url": "https://chat.example.de", "site_name": "Beispiel Chat", "users": 50, "terms_accepted": True,
        "receive_emails_accepted": False, "contact_name": "Ada Beispiel", "contact_email": "ada@example.de",
        "company_name": "Beispiel GmbH", "company_country": "DE", "company_size": "1-50", "server_version": "10.5.0",
    }})  # fmt: skip

    server_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
    email: Email
    name: Annotated[Line, Field(min_length=1)]
    site_url: _Text = ""
    site_name: _Text = ""
    users: Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
    terms_accepted: Annotated[bool, Field(strict=True)]
    receive_emails_accepted: Annotated[bool, Field(strict=True)] = False
    contact_name: _Text = ""
    contact_email: Annotated[Email | None, BeforeValidator(lambda value: value or None)] = None
    company_name: Annotated[Line, Field(min_length=1)]
    company_country: Annotated[Line, Field(min_length=2)]
    company_size: _Text = ""
    server_version: _Text = ""


class TrialOut(BaseModel):
    """The license file, to be installed as it is."""

    license: str = Field(examples=["eyJpZCI6…"])


class RefusalOut(BaseModel):
    """One sentence for the administrator of the server."""

    message: str


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    int(status): {"model": RefusalOut, "description": what}
    for status, what in {
        HTTPStatus.BAD_REQUEST: "the body is not JSON", HTTPStatus.CONFLICT: "no trial can be given",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too large",
        HTTPStatus.UNPROCESSABLE_ENTITY: "a field is missing or wrong", HTTPStatus.TOO_MANY_REQUESTS: "asked too often",
        HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: "the country is embargoed, or we may not supply the party",
    }.items()
}  # fmt: skip


@router.post("/api/v1/trials", operation_id="start_trial", response_model=TrialOut, responses=_ANSWERS, openapi_extra={
    "requestBody": {"required": True, "content": {"application/json": {"schema": TrialIn.model_json_schema()}}}
})  # fmt: skip
async def start_trial(request: Request) -> JSONResponse:
    """A trial for a server, given at once. One for each server; needs no key."""
    return await run_in_threadpool(_answer, request, await request.body())


def _answer(request: Request, raw: bytes) -> JSONResponse:
    try:
        count_try(request, "trial", *TRIES)
        text = _give(request.app.state.ports, raw, client_ip(request))
    except DomainError as refused:
        wait = refused.extra.get("retry_after")
        headers = {"Retry-After": str(wait)} if wait is not None else None
        return JSONResponse({"message": refused.detail}, int(refused.status), headers=headers)
    except json.JSONDecodeError:
        return JSONResponse({"message": "The body is not JSON; send one object in UTF-8."}, HTTPStatus.BAD_REQUEST)
    return JSONResponse({"license": text}, headers={"Cache-Control": "no-store"})


def _give(ports: Ports, raw: bytes, ip: str) -> str:
    body = read(strict_json(raw))
    tried = Tried(
        server_id=body.server_id, email=body.contact_email or body.email, person_name=body.contact_name or body.name,
        company=body.company_name, country=country_of(body.company_country), locale="en", users=body.users,
        site_name=body.site_name, site_url=body.site_url, server_version=body.server_version,
        wants_mail=body.receive_emails_accepted, ip=ip,
    )  # fmt: skip
    begun = trial.start(ports, Asked(tried, terms=body.terms_accepted, door=TrialDoor.SERVER))
    return begun.license.file_text


def read(value: Any) -> TrialIn:
    """Raises Invalid, naming every field that is wrong and what would do."""
    try:
        return TrialIn.model_validate(value)
    except ValidationError as wrong:
        names = list(dict.fromkeys(str(each["loc"][0]) if each["loc"] else "" for each in wrong.errors()))
        said = "; ".join(
            f"{name}: {_REMEDIES.get(name, 'at most 200 characters on one line')}" for name in names if name
        )
        raise Invalid(f"{said}." if said else "Send one JSON object with the fields of a trial.",
                      param=names[0] or None) from None  # fmt: skip


def country_of(text: str) -> str:
    """ISO 3166 of a country as servers of several versions name it. Raises Invalid."""
    code = _codes().get(text.strip().casefold())
    if code is None:
        raise Invalid(f"company_country: {_REMEDIES['company_country']}.", param="company_country")
    return code


@cache
def _codes() -> dict[str, str]:
    """By code of two or three letters and by every name that ISO gives."""
    return {
        str(name).casefold(): str(country.alpha_2)
        for country in pycountry.countries
        for name in (getattr(country, each, None) for each in ("alpha_2", "alpha_3", "name", "official_name",
                                                               "common_name"))
        if name
    }  # fmt: skip
