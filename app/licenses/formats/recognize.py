"""The renderings of one license record, and how to tell them apart (R-LIC-1)."""

import re
from enum import StrEnum
from typing import Final

_TOKEN: Final = re.compile(rb"v[0-9]+\.(?:public|local)\.")
_ENVELOPE: Final = b"-----BEGIN "
_MACHINE: Final = b"-----BEGIN MACHINE FILE-----"


class Format(StrEnum):
    MATTERMOST = "mattermost"
    KEYGEN = "keygen"
    TOKEN = "token"  # noqa: S105 -- the name of a rendering, not a secret
    MACHINE = "machine"  # a Keygen file for one server


# What a license is rendered in by itself; a machine file is made for one of its servers.
OF_A_LICENSE: Final = (Format.MATTERMOST, Format.KEYGEN, Format.TOKEN)


class ReadCode(StrEnum):
    """Why a Keygen file or a token cannot be read, in the order in which we look.

    `mattermost.FileCode` has those of the third; what both can say is spelled alike.
    """

    TOO_LONG = "too_long"
    BROKEN_ENVELOPE = "broken_envelope"
    UNSUPPORTED_ALGORITHM = "unsupported_algorithm"
    UNKNOWN_KID = "unknown_kid"
    WRONG_PURPOSE = "wrong_purpose"
    WRONG_KEY = "wrong_key"
    SEALED = "sealed"
    WRONG_LICENSE_KEY = "wrong_license_key"
    MALFORMED_PAYLOAD = "malformed_payload"


def recognize(text: bytes) -> Format:
    """Which reader a text is for, by how it begins. All but one begin unmistakably; the rest is base64 at best."""
    start = text.lstrip()[:40]
    if start.startswith(_MACHINE):
        return Format.MACHINE
    if start.startswith(_ENVELOPE):
        return Format.KEYGEN
    return Format.TOKEN if _TOKEN.match(start) else Format.MATTERMOST
