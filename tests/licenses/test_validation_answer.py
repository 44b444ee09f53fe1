"""What a signature of an answer covers is what any client works out from the answer itself."""

import json
from base64 import b64decode
from datetime import timedelta
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from app.core.signing import Ed25519Signer, Purpose, generate_ed25519_key, load_ed25519_private_key, verify
from app.licenses.decision import Credential, ValidationFacts, ValidationRequest, decide
from app.licenses.models import LicenseState
from app.licenses.records import Record
from app.licenses.validating import draft
from tests.licenses.making import NOW

SIGNER = Ed25519Signer("k1", load_ed25519_private_key(generate_ed25519_key()))
RECORD = Record(
    id="lic_01", account_id="acc_01", file_id="a" * 26, file_sha256="0" * 64, sku="enterprise", seats=100,
    state=LicenseState.ACTIVE, starts_at=NOW - timedelta(days=300), expires_at=NOW + timedelta(days=65), grace_days=10,
    entitlements=MappingProxyType({"users": 100, "saml": True, "zürich": 'a "word"'}),
)  # fmt: skip


@given(
    after=st.timedeltas(min_value=timedelta(days=-9_000), max_value=timedelta(days=9_000)),
    nonce=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=200),
    record=st.none() | st.just(RECORD),
    entitlements=st.none() | st.frozensets(st.sampled_from(["saml", "zürich", "ldap", "e-discovery"])),
)
def test_the_signature_covers_the_canonical_form_of_the_answer(
    after: timedelta, nonce: str | None, record: Record | None, entitlements: frozenset[str] | None
) -> None:
    now = NOW + after
    facts = ValidationFacts(RECORD.state, RECORD.starts_at, RECORD.expires_at, 10, 100, frozenset({"saml", "zürich"}))
    decision = decide(facts if record else None, ValidationRequest(Credential.SIGNED_FILE, None, entitlements), now)
    answer = json.loads(draft(decision, record).signed(SIGNER, now, nonce))
    signature = answer.pop("signature")
    canonical = json.dumps(answer, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert verify(Purpose.VALIDATION_ANSWER, canonical, b64decode(signature["value"]), SIGNER.public_key)
    assert answer.get("nonce") == nonce
    assert (answer["valid"], answer["code"]) == (decision.valid, decision.code)
    assert answer["checked_at"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert answer["entitlements"] == (dict(RECORD.entitlements) if record else {})
    assert set(answer) - {"nonce"} == {"valid", "code", "findings", "license", "entitlements", "checked_at"}
