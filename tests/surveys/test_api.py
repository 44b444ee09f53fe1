"""The hook, the link and the figures, through HTTP."""

from typing import Any

import httpx
import pytest

from tests.callers import customer, vendor
from tests.surveys.conftest import Asking
from tests.world import altered

PURCHASE: dict[str, Any] = {
    "kind": "purchase", "external_ref": "shop-1001", "email": "ana@acme.example", "name": "Ana Berg", "country": "US",
    "segment": {"plan": "hosting", "first": True, "seats": 25},
}  # fmt: skip


def opened(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    reply = client.post("/v1/surveys/invitations", json=PURCHASE | changes)
    assert reply.status_code in {200, 201}, reply.text
    return dict(reply.json())


def answer(client: httpx.Client, token: str, score: int, comment: str = "") -> httpx.Response:
    return client.post(f"/v1/surveys/links/{token}/answers", json={"score": score, "comment": comment})


def test_another_system_asks_about_its_own_purchase_and_the_answer_counts(asking: Asking) -> None:
    client = vendor(asking.world)
    made = client.post("/v1/surveys/invitations", json=PURCHASE)
    assert made.status_code == 201
    body = made.json()
    assert body["url"] == f"{asking.world.url}/survey/{body['token']}"
    assert (body["source"], body["suppressed_reason"], body["answer"]) == ("api", None, None)
    anybody = asking.world.browser()
    given = answer(anybody, body["token"], 9, "smooth")
    assert given.status_code == 201
    assert (given.json()["version"], given.json()["editable_until"]) == (1, body["expires_at"])
    assert answer(anybody, body["token"], 2).json()["version"] == 2
    read = client.get(f"/v1/surveys/invitations/{body['id']}").json()
    assert (read["answer"]["score"], read["answer"]["source"]) == (2, "api")
    assert client.get("/v1/surveys/nps").json()["nps"] == -100.0


def test_the_same_reference_is_the_same_invitation(asking: Asking) -> None:
    client = vendor(asking.world)
    first = client.post("/v1/surveys/invitations", json=PURCHASE)
    again = client.post("/v1/surveys/invitations", json=PURCHASE)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = client.post("/v1/surveys/invitations", json=PURCHASE | {"source": "crm"})
    assert other.json()["id"] != first.json()["id"]
    differs = client.post("/v1/surveys/invitations", json=PURCHASE | {"kind": "renewal"})
    assert (differs.status_code, differs.json()["code"]) == (409, "invitation_differs")


def test_a_mail_needs_a_country_and_says_so(asking: Asking) -> None:
    client = vendor(asking.world)
    assert opened(client, country=None)["suppressed_reason"] == "country_unknown"
    without = opened(client, external_ref="shop-1002", email=None, country=None)
    assert (without["suppressed_reason"], without["email_due_at"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"kind": "refund"}, "kind"), ({"external_ref": ""}, "external_ref"),
        ({"external_ref": "a\x00b"}, "external_ref"),
        ({"email": "nobody"}, "email"), ({"email": "a\n@b.example"}, "email"), ({"source": "blp"}, "source"),
        ({"country": "Germany"}, "country"), ({"segment": {"buyer": "ana@acme.example"}}, "segment.buyer"),
        ({"segment": {"Bad Key": 1}}, "segment.Bad Key"), ({"segment": {"a": 1.5}}, "segment.a"),
        ({"locale": "../../etc"}, "locale"), ({"score": 10}, "score"), ({"test": False}, "test"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_used_are_named(asking: Asking, changes: dict[str, Any], param: str) -> None:
    refused = vendor(asking.world).post("/v1/surveys/invitations", json=PURCHASE | changes)
    assert refused.status_code == 422
    assert refused.json()["param"].startswith(param)


@pytest.mark.parametrize("body", [{}, {"score": 11}, {"score": "9"}, {"score": 9.0}, {"score": True}, {"score": None},
                                  {"score": 9, "version": 7}])  # fmt: skip
def test_only_a_whole_number_from_0_to_10_is_a_score(asking: Asking, body: dict[str, Any]) -> None:
    token = asking.token(asking.invite())
    assert asking.world.browser().post(f"/v1/surveys/links/{token}/answers", json=body).status_code == 422


def test_tokens_that_were_altered_or_made_up_find_nothing(asking: Asking) -> None:
    made = asking.invite()
    token = asking.token(made)
    for wrong in (altered(token), made.id, "x", f"{made.id}.", token.partition(".")[2], "srv_%00.x", "ü.ü"):
        refused = answer(asking.world.browser(), wrong, 9)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), wrong


def test_a_dead_link_says_that_the_survey_has_closed_and_still_lets_people_opt_out(asking: Asking) -> None:
    token = asking.token(asking.invite())
    asking.later(days=31)
    closed = answer(asking.world.browser(), token, 9)
    assert (closed.status_code, closed.json()["code"]) == (410, "survey_closed")
    assert asking.world.browser().post(f"/v1/surveys/links/{token}/opt_out").status_code == 204
    assert asking.invite("ana@acme.example").suppressed_reason == "opted_out"


def test_get_and_head_store_nothing(asking: Asking) -> None:
    made = asking.invite()
    browser = asking.world.browser()
    for method in ("GET", "HEAD", "OPTIONS"):
        browser.request(method, f"/v1/surveys/links/{asking.token(made)}/answers?score=9")
        browser.request(method, f"/v1/surveys/links/{asking.token(made)}/opt_out")
    assert asking.read(made).answered_at is None
    assert asking.read(made).suppressed_reason is None


def test_scopes_are_asked_for(asking: Asking) -> None:
    reader, writer = vendor(asking.world, "surveys:read"), vendor(asking.world, "surveys:write")
    assert reader.post("/v1/surveys/invitations", json=PURCHASE).status_code == 403
    assert writer.get("/v1/surveys/invitations").status_code == 403
    assert writer.get("/v1/surveys/nps").status_code == 403
    assert asking.world.browser().get("/v1/surveys/nps").status_code == 401


def test_a_customer_sees_that_its_people_were_asked_and_never_what_they_said(asking: Asking) -> None:
    client, account_id = customer(asking.world)
    own, foreign = asking.invite(account_id=account_id), asking.invite("bo@other.example")
    asking.answer(own, 1, "private")
    listed = client.get("/v1/surveys/invitations").json()
    assert [each["id"] for each in listed["data"]] == [own.id]
    assert listed["data"][0]["answer"] is None
    assert "private" not in client.get(f"/v1/surveys/invitations/{own.id}").text
    missing = client.get(f"/v1/surveys/invitations/{foreign.id}")
    never = client.get(f"/v1/surveys/invitations/srv_{'0' * 26}")
    assert (missing.status_code, never.status_code) == (404, 404)
    assert missing.json()["detail"] == never.json()["detail"]
    assert client.get("/v1/surveys/nps").status_code == 403
    assert client.post("/v1/surveys/invitations", json=PURCHASE).status_code == 403


def test_lists_are_filtered_and_paged_and_hold_no_address(asking: Asking) -> None:
    client = vendor(asking.world)
    made = [asking.invite() for _ in range(3)]
    asking.answer(made[0], 7)
    first = client.get("/v1/surveys/invitations", params={"limit": 2}).json()
    rest = client.get("/v1/surveys/invitations", params={"limit": 2, "starting_after": first["data"][-1]["id"]}).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == [each.id for each in reversed(made)]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    ids = [each["id"] for each in client.get("/v1/surveys/invitations", params={"answered": True}).json()["data"]]
    assert ids == [made[0].id]
    suppressed = client.get("/v1/surveys/invitations", params={"suppressed": True}).json()["data"]
    assert {each["suppressed_reason"] for each in suppressed} == {"asked_recently"}
    everything = client.get("/v1/surveys/invitations").text
    assert "ana@" not in everything
    assert asking.token(made[1]).partition(".")[2] not in everything, "reading is not answering"
    assert client.get("/v1/surveys/invitations", params={"starting_after": "ord_1"}).status_code == 404


def test_an_idempotency_key_is_honoured(asking: Asking) -> None:
    client = vendor(asking.world)
    replies = [
        client.post("/v1/surveys/invitations", json=PURCHASE, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]
    assert [each.status_code for each in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
