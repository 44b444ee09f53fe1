"""The OpenAPI document: complete, true, and nothing it describes breaks when it is asked at random."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.main import create_app
from app.web.api.previews import PreviewIn
from tests.api.buying import Buyer, make_key
from tests.serving import served
from tests.world import World, full

OURS = ("plans", "previews", "orders", "quotes", "subscriptions", "invoices", "payments", "licenses", "accounts",
        "sandbox", "credit_notes", "refunds", "disputes", "payment_methods")  # fmt: skip
# Their content has documents of its own; pictures and papers are shown nowhere in JSON.
PAPERS = {"application/pdf", "application/xml", "application/jsonl", "text/csv", "image/png", "image/jpeg"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    return dict(world.browser().get("/openapi.json").json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_operation_has_a_name_a_tag_a_summary_and_its_problems(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["operationId"].isidentifier(), where
        assert operation["tags"], where
        assert operation.get("description"), where
        assert {"400", "413", "422"} <= operation["responses"].keys(), where
        for status, response in operation["responses"].items():
            assert response["description"], where
            # Mattermost servers read refusals in a shape of their own.
            if int(status) >= 400 and path != "/api/v1/trials":
                assert "application/problem+json" in response["content"], (where, status)


def test_what_needs_a_key_says_so_and_what_does_not_does_not(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
    for method, path, operation in operations(document):
        if operation["tags"][0] not in OURS:
            continue
        keyed = {"401", "403"} <= operation["responses"].keys()
        assert ("security" in operation) == keyed, (method, path)


def test_the_main_shapes_carry_examples_and_those_that_are_sent_are_good(
    document: dict[str, Any], buyer: Buyer
) -> None:
    schemas = document["components"]["schemas"]
    for name in ("PreviewIn", "PreviewOut", "OrderIn", "OrderOut", "QuoteIn", "SubscriptionOut", "InvoiceOut",
                 "PaymentOut", "LicenseOut", "ValidateIn", "ValidationOut", "LintIn", "AccountOut", "PlanOut",
                 "MoneyOut", "Problem"):  # fmt: skip
        assert "example" in schemas[name], name
    sample = PreviewIn.model_json_schema()["example"]
    assert buyer.client.post("/v1/previews", json=sample).status_code == 201
    validation = buyer.client.post("/v1/licenses/validate", json=schemas["ValidateIn"]["example"])
    assert (validation.status_code, validation.json()["code"]) == (200, "not_found")


def _shown(schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether a reader sees what it looks like: an example of it, or one of every part that it must have."""
    if {"example", "examples", "const", "enum"} & schema.keys() or schema.get("type") == "boolean":
        return True
    if "$ref" in schema:
        return _shown(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return any(_shown(each, schemas) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return _shown(schema["items"], schemas)
    parts = schema.get("properties", {})
    return bool(parts) and all(_shown(parts[name], schemas) for name in schema.get("required", parts))


def test_every_door_shows_what_is_sent_and_answered(document: dict[str, Any]) -> None:
    schemas, seen = document["components"]["schemas"], 0
    for method, path, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {})}
        bodies |= {status: answer for status, answer in operation["responses"].items() if int(status) < 300}
        for which, body in bodies.items():
            for kind, media in body.get("content", {}).items():
                if kind.partition(";")[0] in PAPERS:
                    continue
                seen += 1
                assert "example" in media or _shown(media["schema"], schemas), (method, path, which, kind)
    assert seen > 150


def test_every_example_has_the_shape_that_it_shows(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    shown = {name: schema for name, schema in schemas.items() if "example" in schema}
    assert len(shown) > 60
    for schema in schemas.values():  # what is null in an example is left out of the document
        parts = schema.get("properties", {})
        wanted = [each for each in schema.get("required", ()) if {"type": "null"} not in parts[each].get("anyOf", ())]
        schema["required"] = wanted
    for name, schema in shown.items():
        rules = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        faults = [fault.message for fault in jsonschema_rs.iter_errors(rules, schema["example"])]
        assert faults == [], (name, faults)


def test_examples_of_answers_have_the_shape_of_answers(buyer: Buyer, vendor: httpx.Client) -> None:
    schemas = vendor.get("/openapi.json").json()["components"]["schemas"]
    order = buyer.buy().order
    seen = {
        "PreviewOut": buyer.preview(),
        "OrderOut": order,
        "PlanOut": vendor.get("/v1/plans").json()["data"][0],
        "InvoiceOut": vendor.get(f"/v1/invoices/{order['invoice_id']}").json(),
        "SubscriptionOut": vendor.get(f"/v1/subscriptions/{order['subscription_id']}").json(),
        "LicenseOut": vendor.get(f"/v1/licenses/{order['license_id']}").json(),
        "AccountOut": vendor.get(f"/v1/accounts/{order['account_id']}").json(),
        "PaymentOut": vendor.get("/v1/payments").json()["data"][0],
    }
    for name, answer in seen.items():
        example, properties = schemas[name]["example"], schemas[name]["properties"]
        assert example.keys() <= answer.keys(), name
        # What is null in an example is left out of the document.
        left_out = answer.keys() - example.keys()
        assert all({"type": "null"} in properties[each].get("anyOf", ()) for each in left_out), name


@pytest.fixture
def asked(world: World) -> Iterator[str]:
    """A server without limits on validation, so that the fuzz is about answers and not about patience."""
    lifted = world.settings.model_copy(update={"validate_burst": 0, "validate_key_burst": 0})
    with served(create_app(lifted, world.wired)) as url:
        yield url


def _fuzz(url: str, headers: dict[str, str], *, safe_only: bool) -> int:
    """Random requests by the document, each answer held against it; returns how many operations were asked."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    asked = 0
    for found in schema.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        operation = found.ok()
        if operation.method.upper() not in ({"GET"} if safe_only else {"GET", "POST", "PATCH", "DELETE"}):
            continue
        if operation.tags and operation.tags[0] not in OURS:
            continue
        asked += 1

        @settings(
            max_examples=full(300),
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS)

        ask()
    return asked


def test_random_requests_without_a_key_meet_documented_answers_only(asked: str) -> None:
    assert _fuzz(asked, {}, safe_only=False) > 25


def test_random_reads_with_a_key_of_the_vendor_meet_documented_answers_only(
    asked: str, buyer: Buyer, world: World
) -> None:
    buyer.buy()
    key = make_key(world, account_id=None)
    assert _fuzz(asked, {"Authorization": f"Bearer {key}"}, safe_only=True) > 15


def test_random_bodies_at_the_open_doors_never_break_them(asked: str, buyer: Buyer) -> None:
    """Values that fit the shapes by chance are rare, so good requests are bent in one place at a time."""
    preview = buyer.preview()
    order = {"preview": preview["id"], "acceptance": buyer.acceptance(preview)}
    strange: list[Any] = [
        None,
        "",
        "\u0000",
        "\U0001f600" * 300,
        -1,
        2**63,
        1.5,
        True,
        [],
        {},
        [[]],
        {"a": "b"},
        "\u202e",
    ]
    with httpx.Client(base_url=asked, trust_env=False) as client:
        for path, good in (("/v1/previews", buyer.wanted(tax_ids=[{"type": "eu_vat", "value": "DE136695976"}])),
                           ("/v1/orders", order), ("/v1/quotes", {"preview": preview["id"], "note": "x"}),
                           ("/v1/licenses/validate", {"key": "a" * 26, "entitlements": ["x"], "nonce": "n"}),
                           ("/v1/licenses/lint", {"license": "x", "keys": "x", "reported_users": 1})):  # fmt: skip
            for bent in _bent(good, strange[:: 1 if full(100) > 3 else 2]):
                answer = client.post(path, content=json.dumps(bent), headers={"Content-Type": "application/json"})
                assert answer.status_code < 500, (path, bent, answer.text)
                assert answer.status_code < 300 or answer.json()["code"], (path, bent)


def _bent(good: Any, strange: list[Any]) -> Iterator[Any]:
    """The value with one part of it replaced."""
    yield from strange
    if isinstance(good, dict):
        for name, value in good.items():
            yield from ({**good, name: each} for each in _bent(value, strange))
    if isinstance(good, list):
        for index, value in enumerate(good):
            yield from ([*good[:index], each, *good[index + 1 :]] for each in _bent(value, strange))
