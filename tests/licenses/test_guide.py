"""The guide explains every code that a customer or an admin can meet."""

import re
from pathlib import Path

from app.licenses.claims import FEATURES, PayloadCode
from app.licenses.decision import Code
from app.licenses.linter import LintCode
from app.licenses.mattermost import FileCode
from app.licenses.verify import ReportCode

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "license-file.md").read_text(encoding="utf-8")
FIELDS = set(
    "id issued_at starts_at expires_at customer name email company sku_name sku_short_name features users is_trial "
    "future_features is_gov_sku is_seat_count_enforced extra_users limits post_history code sources license".split()
)


def test_the_guide_explains_every_code_and_no_code_that_does_not_exist() -> None:
    explained = set(re.findall(r"`([a-z][a-z0-9_]*)`", GUIDE)) - FIELDS - FEATURES
    assert explained == {code.value for kind in (FileCode, PayloadCode, ReportCode, LintCode, Code) for code in kind}
