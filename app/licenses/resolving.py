"""Which license a Keygen file, a machine file or a token speaks for: what the log of signatures says of this very text.

The Mattermost file states its id and is compared with the record (`validating.open_credential`). The others are signed
as often as somebody asks, and an encrypted one does not say whose it is; but every text of them is in the log. One
that is signed and not there was made with a stolen key, and opens nothing (R-LIC-6).
"""

from typing import Final

from sqlalchemy import select
from sqlalchemy import text as words
from sqlmodel import col

from app.core import keys
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.licenses.decision import refuse_file
from app.licenses.formats import keygen, token
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import Format, ReadCode, recognize
from app.licenses.formats.trust import Trust
from app.licenses.models import IssuanceEntry, License
from app.licenses.validating import Opened

_KINDS: Final = {Format.KEYGEN: keygen.LICENSE, Format.MACHINE: keygen.MACHINE}


def is_rendering(text: str | None) -> bool:
    """Whether a text presents itself as anything but a Mattermost file; looks at its beginning only."""
    return text is not None and recognize(text[:80].encode("ascii", "replace")) is not Format.MATTERMOST


def open_rendering(tx: Tx, text: str) -> Opened:
    """Check the signature and find the license in the log; `refused` for a text that cannot be believed.

    How long the file itself is good is not asked: whoever asks here needs no file to know how the license stands.
    """
    published = keys.published(tx)
    try:
        _require_genuine(text, Trust.of(published))
    except LicenseFileRejected as rejected:
        return Opened("", refuse_file(rejected))
    query = (
        select(col(License.file_id), col(IssuanceEntry.kid))
        .join(License, col(License.id) == col(IssuanceEntry.license_id))
        .where(
            col(IssuanceEntry.kid).in_([each.kid for each in published]),
            # Spelled out as in the index that answers this.
            col(IssuanceEntry.file_sha256).in_(_digests(text)), words("format <> 'mattermost'"),
        )
    )  # fmt: skip
    found = tx.execute(query).first()
    return Opened("") if found is None else Opened(found.file_id, logged_under=found.kid)


def _require_genuine(text: str, trust: Trust) -> None:
    """Raises LicenseFileRejected. An encrypted file is not opened: its signature is over what is encrypted."""
    kind = recognize(text.encode("ascii", "replace"))
    if kind is Format.TOKEN:
        token.open_payload(text.strip(), trust.token)
        return
    try:
        keygen.open_payload(text, trust.keygen, None, _KINDS[kind])
    except LicenseFileRejected as rejected:
        if rejected.reason is not ReadCode.SEALED:
            raise


def _digests(text: str) -> list[str]:
    """Of the text as it was issued, with and without the line feed at its end; other ends of lines do no harm."""
    plain = text.replace("\r\n", "\n").strip()
    return [sha256_hex(each.encode()) for each in (plain, plain + "\n")]
