"""Papers that somebody else made and we keep: signed quotes, purchase orders, agreements (R-THR-5).

What a paper is, its bytes say and not its name; the hash is checked by the database as well.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from app.agreements.models import MOST_BYTES, Paper, PaperKind
from app.core.db import Tx
from app.core.errors import DomainError, NotFound
from app.core.ids import new_id

_KINDS_OF_FILE: Final = (
    (b"%PDF-", "application/pdf", "pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (b"\xff\xd8\xff", "image/jpeg", "jpg"),
)


class PaperRefused(DomainError):
    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "paper-refused", "This file cannot be kept"


@dataclass(frozen=True, slots=True)
class Upload:
    """What somebody sent; `name` is only shown, never trusted."""

    content: bytes
    name: str = ""


def kind_of(content: bytes) -> tuple[str, str]:
    """Media type and ending, by the bytes. Raises PaperRefused for anything but PDF, PNG and JPEG up to 10 MB."""
    if not content:
        raise PaperRefused("Choose a file.", param="file")
    if len(content) > MOST_BYTES:
        raise PaperRefused("It has more than 10 MB; scan it at a lower resolution.", param="file")
    for magic, media_type, ending in _KINDS_OF_FILE:
        if content.startswith(magic) and _is_whole(media_type, content):
            return media_type, ending
    raise PaperRefused("A whole PDF, PNG or JPEG file is needed; this is something else or broke off.", param="file")


def _is_whole(media_type: str, content: bytes) -> bool:
    tail = content[-1024:]
    if media_type == "application/pdf":
        return b"%%EOF" in tail
    return b"IEND\xaeB`\x82" in tail if media_type == "image/png" else b"\xff\xd9" in tail


def keep(tx: Tx, upload: Upload, *, account_id: str, kind: PaperKind, by: str, now: datetime) -> Paper:
    """Store a file with its hash. Raises PaperRefused."""
    media_type, ending = kind_of(upload.content)
    stem = re.sub(r"[^\w .()-]", "", upload.name.rpartition("/")[2].rpartition("\\")[2]).strip(" .")[:100]
    paper = Paper(
        id=new_id("pap"), account_id=account_id, kind=kind, name=stem or f"{kind}.{ending}", media_type=media_type,
        size=len(upload.content), sha256=sha256(upload.content).hexdigest(), content=upload.content, added_by=by,
        added_at=now,
    )  # fmt: skip
    tx.add(paper)
    tx.flush()
    return paper


def get(tx: Tx, paper_id: str) -> Paper:
    paper = tx.get(Paper, paper_id)
    if paper is None:
        raise NotFound("There is no such file.")
    return paper
