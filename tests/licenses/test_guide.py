"""The guide explains every code that a customer or an admin can meet."""

import re
from pathlib import Path

from app.licenses.decision import Code
from app.licenses.formats.claims import FEATURES, PayloadCode
from app.licenses.formats.enforcement import Step
from app.licenses.formats.linter import LintCode, RenderingLint
from app.licenses.formats.mattermost import FileCode
from app.licenses.formats.recognize import Format, ReadCode
from app.licenses.formats.report import ReportCode

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "license-file.md").read_text(encoding="utf-8")
FIELDS = set(
    "id issued_at starts_at expires_at customer name email company sku_name sku_short_name features users is_trial "
    "future_features is_gov_sku is_seat_count_enforced extra_users limits post_history code sources license "
    "ttl enc sig alg expiry data included meta null sub key company plan sku iat nbf exp starts_at grace_days "
    "seats extra_seats seats_enforced trial gov enforcement days percent license_enforcement".split()
)


def test_the_guide_explains_every_code_and_no_code_that_does_not_exist() -> None:
    explained = set(re.findall(r"`([a-z][a-z0-9_]*)`", GUIDE)) - FIELDS - FEATURES - {*Format, *Step}
    assert explained == {
        code.value
        for kind in (FileCode, ReadCode, PayloadCode, ReportCode, LintCode, RenderingLint, Code)
        for code in kind
    }
