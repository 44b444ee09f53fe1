"""Everything that is signed passes one port, so that a private key may live where this process cannot read it (S29)."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

from app.core.ids import new_license_file_id
from app.core.keys import KeyPurpose
from app.core.signing import Ed25519Signer, HeldRsaKey, P_co, Purpose, thumbprint, verify
from app.licenses import offline, revocation_list
from app.licenses.formats import keygen, machine_claims, token
from app.licenses.formats.keygen_claims import payload_of
from app.licenses.formats.machine_claims import Bound
from app.licenses.formats.mattermost import verify_file
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.issuing import issue
from app.licenses.revocation_list import LIST, RevocationList
from tests.licenses.making import NOW, claims_under
from tests.licenses.renderings import KEY, Signers, stated

APP = Path(__file__).parents[2] / "app"


@dataclass
class Elsewhere(Generic[P_co]):
    """A key in a vault: it has a public half and signs, and nothing else can be had of it."""

    public: P_co
    signs: Callable[[bytes], bytes]
    signed: list[bytes] = field(default_factory=list)

    def public_key(self) -> P_co:
        return self.public

    def sign(self, message: bytes, /) -> bytes:
        self.signed.append(message)
        return self.signs(message)


def test_every_format_is_signed_by_a_key_that_is_kept_elsewhere(signers: Signers) -> None:
    rsa = Elsewhere(signers.rsa.public_key(), HeldRsaKey(signers.rsa).sign)
    ed = Elsewhere(signers.keygen.public_key(), signers.keygen.sign)
    public, kid = ed.public, thumbprint(ed.public)
    issued = issue(claims_under(), rsa, new_id=new_license_file_id, now=NOW)
    assert verify_file(issued.text, [rsa.public]).users == 100
    payload = payload_of(stated(), ttl=3600, now=NOW)
    assert keygen.open_payload(keygen.encode(payload, ed, KEY), [public], KEY) == payload
    server = machine_claims.payload_of(stated(), Bound("act_1", "f-1", "", "", 1, NOW), ttl=3600, now=NOW)
    made = keygen.encode(server, ed, KEY + "f-1", keygen.MACHINE)
    assert keygen.open_payload(made, [public], KEY + "f-1", keygen.MACHINE) == server
    said = TokenClaims.of(stated(), [], NOW).to_payload()
    assert token.open_payload(token.encode(said, kid, ed), {kid: public}) == said
    listed = RevocationList(0, NOW, ())
    assert revocation_list.read(revocation_list.sign(listed, kid, ed), {kid: public}) == listed
    signer = Ed25519Signer(kid, ed)
    assert verify(Purpose.VALIDATION_ANSWER, b"{}", signer.sign(Purpose.VALIDATION_ANSWER, b"{}"), public)
    offline.verify_signed(offline.sign({"type": offline.ACTIVATION}, signer), {kid: public})
    # What was signed tells by its beginning what it is for, so that one key could not be made to sign for another use.
    marks = [b"license/", b"machine/", preauth_of(token.LICENSE), preauth_of(LIST), b"blp/validation-answer/v1\n",
             b"blp/activation-file/v1\n"]  # fmt: skip
    assert [mark in message for mark, message in zip(marks, ed.signed, strict=True)] == [True] * len(marks)
    assert len(rsa.signed) == issued.attempts


def preauth_of(kind: token.Kind) -> bytes:
    return len(kind.implicit).to_bytes(8, "little") + kind.implicit


def test_private_keys_are_opened_in_one_place_and_never_leave_the_port() -> None:
    """No other room names a private key, opens a sealed one or parses one; the benchmarks make keys of their own."""
    may = {"core/keys.py", "core/signing.py", "bench/inside.py"}
    forbidden = {
        "RSAPrivateKey", "Ed25519PrivateKey", "load_private_key", "load_rsa_private_key", "load_ed25519_private_key",
        "private_sealed", "load_pem_private_key",
    }  # fmt: skip
    found = set()
    for path in APP.rglob("*.py"):
        name = path.relative_to(APP).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {getattr(node, "attr", getattr(node, "id", getattr(node, "name", ""))) for node in ast.walk(tree)}
        if names & forbidden and name not in may:
            found.add(name)
    assert found == set()
    assert {purpose.value for purpose in KeyPurpose} == {
        "license-file", "evidence", "keygen-file", "license-token", "revocation-list"
    }  # fmt: skip
