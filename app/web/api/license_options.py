"""What may be wished of a file that is signed when somebody asks for it; the words are those of Keygen's clients."""

from typing import Annotated, Final

from fastapi import Query

from app.core.errors import Invalid
from app.licenses.formats.keygen import Algorithm, algorithm_of
from app.licenses.formats.keygen_claims import DEFAULT_TTL
from app.licenses.formats.recognize import OF_A_LICENSE, Format
from app.licenses.rendering import Wanted

Ttl = Annotated[str | None, Query(
    pattern="^([0-9]{1,10}|null)$",
    description="Keygen files: seconds for which the file is good, 3600 or more, or null; a month if left out.",
)]  # fmt: skip
Encrypt = Annotated[bool | None, Query(description="Keygen files: with the license key; yes if left out.")]
Alg = Annotated[str | None, Query(
    pattern=r"^[a-z0-9+-]{1,40}$",
    description="Keygen files: the algorithm as their clients name it, instead of `encrypt`.",
)]  # fmt: skip
_WITH_OPTIONS: Final = {Format.KEYGEN, Format.MACHINE}


class FormatUnknown(Invalid):
    slug, title = "license-format-unknown", "A license has no such rendering"


class OptionWithoutEffect(Invalid):
    slug, title = "license-option-without-effect", "This format knows no such option"


def format_of(name: str) -> Format:
    """Raises FormatUnknown for what a license is not rendered in by itself."""
    if name not in OF_A_LICENSE:
        raise FormatUnknown(f"There are {', '.join(OF_A_LICENSE)}.", param="format")
    return Format(name)


def wanted(written: Format, ttl: str | None, encrypt: bool | None, alg: str | None) -> Wanted:
    """Raises OptionWithoutEffect, AlgorithmRefused."""
    given = [name for name, value in {"ttl": ttl, "encrypt": encrypt, "alg": alg}.items() if value is not None]
    if written not in _WITH_OPTIONS and given:
        raise OptionWithoutEffect(f"{given[0]} is for the format keygen.", param=given[0])
    encrypted = encrypt is not False
    if alg is not None:
        named = algorithm_of(alg) is Algorithm.ENCRYPTED
        if encrypt not in {None, named}:
            raise OptionWithoutEffect("encrypt and alg contradict each other; give one of them.", param="encrypt")
        encrypted = named
    seconds = DEFAULT_TTL if ttl is None else None if ttl == "null" else int(ttl)
    return Wanted(written, seconds, encrypted)
