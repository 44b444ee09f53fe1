from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from app.core import policy
from app.surveys import service
from app.surveys.errors import InvitationDiffers
from app.surveys.models import SurveyInvitation, SurveyKind
from tests.surveys.conftest import Asking

DAY = timedelta(days=1)


@pytest.mark.parametrize(("kind", "days"), [("purchase", 3), ("renewal", 1), ("expansion", 1)])
def test_the_mail_is_due_after_the_days_of_its_kind_and_the_link_dies_after_thirty(
    asking: Asking, kind: str, days: int
) -> None:
    made = asking.invite(kind=SurveyKind(kind))
    assert made.email_due_at == made.created_at + days * DAY
    assert made.expires_at == made.created_at + 30 * DAY
    assert (made.suppressed_reason, made.wording_id, made.emailed_at) == (None, f"{kind}-1", None)


def test_one_purchase_has_one_invitation_however_often_it_is_told(asking: Asking) -> None:
    first = asking.invite(external_ref="ord_a")
    again = asking.invite(external_ref="ord_a", email="other@acme.example")
    assert again.id == first.id
    assert again.person_email == "ana@acme.example"
    elsewhere = asking.invite(external_ref="ord_a", source="crm")
    assert elsewhere.id != first.id
    with pytest.raises(InvitationDiffers):
        asking.invite(external_ref="ord_a", kind=SurveyKind.RENEWAL)


def test_an_invitation_that_belongs_to_nothing_is_a_bug(asking: Asking) -> None:
    with pytest.raises(ValueError, match="an order or a reference"):
        asking.invite(external_ref=None)


def test_suppressed_invitations_are_recorded_with_their_reason(asking: Asking) -> None:
    asking.invite()
    assert asking.invite().suppressed_reason == "asked_recently"
    assert asking.invite("ANA@acme.example ").suppressed_reason == "asked_recently", "the same person"
    assert asking.invite("bo@acme.example").suppressed_reason is None
    assert asking.invite("cy@acme.example", country="DE").suppressed_reason == "country_off"
    assert asking.invite("dee@acme.example", country=None).suppressed_reason == "country_unknown"
    asking.within(lambda tx: service.opt_out_person(tx, asking.world.ports.secrets, "eve@acme.example", asking.now()))
    assert asking.invite("eve@acme.example", country="DE").suppressed_reason == "opted_out"
    asking.within(lambda tx: _assert_count(tx, 7))


def _assert_count(tx: object, expected: int) -> None:
    count = tx.execute(select(func.count()).select_from(SurveyInvitation)).scalar_one()  # type: ignore[attr-defined]  # a Tx
    assert count == expected


def test_a_suppressed_invitation_can_still_be_asked_and_answered_on_the_page(asking: Asking) -> None:
    asking.invite()
    second = asking.invite()
    assert service.may_ask_on_page(second)
    assert asking.answer(second, 9).version == 1
    asking.within(lambda tx: service.opt_out_person(tx, asking.world.ports.secrets, "ana@acme.example", asking.now()))
    third = asking.invite()
    assert not service.may_ask_on_page(third), "who asked not to be asked is not asked on the page either"


@pytest.mark.parametrize(("days", "reason"), [(89, "asked_recently"), (90, None)])
def test_one_person_gets_one_survey_mail_in_ninety_days(asking: Asking, days: int, reason: str | None) -> None:
    first = asking.invite()
    second = asking.invite(now=first.created_at + days * DAY)
    assert second.suppressed_reason == reason


def test_a_renewal_is_mailed_sooner_so_its_quiet_days_are_counted_from_mail_to_mail(asking: Asking) -> None:
    purchase = asking.invite()  # to be mailed on day 3
    early = asking.invite(kind=SurveyKind.RENEWAL, now=purchase.created_at + 91 * DAY)  # on day 92: 89 days later
    assert early.suppressed_reason == "asked_recently"
    later = asking.invite(kind=SurveyKind.RENEWAL, now=purchase.created_at + 92 * DAY)
    assert later.suppressed_reason is None


def test_durations_and_countries_are_policies(asking: Asking) -> None:
    now = asking.now()
    for name, value in (
        ("survey_mail_after_days", {"purchase": 45, "renewal": 2, "expansion": 2}),
        ("survey_open_days", 60),
        ("survey_countries_off", []),
    ):
        asking.within(
            lambda tx, name=name, value=value: policy.change(  # type: ignore[misc]  # bound per turn
                tx, name, value, valid_from=now, by="test", why="other market", now=now
            )
        )
    made = asking.invite(country="DE", now=now)
    assert (made.email_due_at, made.expires_at) == (now + 45 * DAY, now + 60 * DAY)
    assert made.suppressed_reason is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("survey_mail_after_days", {"purchase": 3}),
        ("survey_mail_after_days", {"purchase": -1, "renewal": 1, "expansion": 1}),
        ("survey_countries_off", ["de"]), ("survey_countries_off", "DE"), ("survey_names_in_events", 1),
        ("survey_reminder_after_days", 0),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_work_is_refused(asking: Asking, name: str, value: object) -> None:
    now = asking.now()
    with pytest.raises(Exception, match=f"The value of {name} must"):
        asking.within(lambda tx: policy.change(tx, name, value, valid_from=now, by="test", why="typo", now=now))


def test_without_an_address_nothing_is_planned_and_nothing_is_suppressed(asking: Asking) -> None:
    made = asking.invite(None)
    assert (made.email_due_at, made.suppressed_reason, made.person_hash) == (None, None, None)


def test_forgetting_a_person_keeps_scores_and_segments_only(asking: Asking) -> None:
    made = asking.invite(external_ref="ord_forget")
    asking.answer(made, 3, "I am Ana from Acme")
    with asking.world.db.transaction() as tx:
        assert service.forget_person(tx, asking.world.ports.secrets, "Ana@acme.example") == 1
        assert service.forget_person(tx, asking.world.ports.secrets, "ana@acme.example") == 0
    left = asking.read(made)
    assert (left.person_email, left.person_name, left.person_hash, left.order_id) == (None, "", None, None)
    assert "ord_forget" not in left.external_ref
    with asking.world.db.transaction() as tx:
        answer = service.latest(tx, left)
        assert answer is not None
        assert (answer.score, answer.comment, left.segment["plan"]) == (3, "", "professional")
    assert asking.invite(external_ref="ord_forget").id == made.id, "the purchase is not asked about again"


def test_after_two_years_an_answer_is_a_score(asking: Asking) -> None:
    old = asking.invite(now=asking.now() - timedelta(days=740), external_ref="ord_old")
    young = asking.invite("bo@acme.example", now=asking.now() - timedelta(days=720))
    with asking.world.db.transaction() as tx:
        assert service.forget_old(tx, asking.world.ports.secrets, asking.now()) == 1
        assert service.forget_old(tx, asking.world.ports.secrets, asking.now()) == 0
    assert asking.read(old).person_email is None
    assert asking.read(young).person_email == "bo@acme.example"


def test_turning_surveys_on_again_is_possible(asking: Asking) -> None:
    secrets = asking.world.ports.secrets
    asking.within(lambda tx: service.opt_out_person(tx, secrets, "ana@acme.example", asking.now()))
    with asking.world.db.transaction() as tx:
        assert service.has_opted_out(tx, secrets, "Ana@acme.example")
        service.opt_in(tx, secrets, "ana@acme.example")
        service.opt_in(tx, secrets, "ana@acme.example")
    assert asking.invite().suppressed_reason is None
    with asking.world.db.transaction() as tx:
        kept = tx.execute(select(col(SurveyInvitation.person_hash))).scalar_one()
    assert kept is not None
    assert "ana" not in kept
