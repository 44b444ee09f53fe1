"""Which names a workspace may have: one DNS label (RFC 1123), recognizable, and none that could deceive."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from app.core.errors import Invalid

SHORTEST: Final = 3
# A label may have 63 octets (RFC 1035 §2.3.4); the rest is room for a suffix and for names a provisioner derives.
LONGEST: Final = 40
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")

# Names by which people and programs look for the vendor itself (RFC 2142 mailboxes, automatic configuration, consoles).
RESERVED: Final = frozenset(
    "abuse account accounts admin administrator api app apps assets auth autoconfig autodiscover beta billing "
    "blog broadcasthost cdn cloud community console dashboard demo dev dns docs download downloads email example "
    "files forum ftp git help hostmaster id imap info internal invalid isatap license licenses localdomain "
    "localhost login logout mail mailer-daemon media metrics mx news noc noreply no-reply ns ns1 ns2 oauth "
    "payment payments ping pop portal postmaster press preview private prod production proxy public root sales "
    "sandbox secure security shop signin signup smtp sso staff staging static stats status store support system "
    "test testing trust usenet vpn webmail webmaster wiki wpad www www1 www2".split()
)

# Legal forms at the end of a company's name say nothing that its people would type; "and" is what joins two of them.
_LEGAL_FORMS: Final = frozenset(
    "ab ag and aps as asa bv co company corp corporation gmbh inc incorporated kft kg kk limited llc llp lp ltd ltda "
    "mbh nv oy oyj plc pte pty pvt sa sarl sas sl spa srl ug".split()
)
# What Unicode does not take apart into a base letter and a mark.
_SPELLED: Final = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th",
                                 "\u0131": "i", "&": " and ", "'": "", "\u2019": "", ".": ""})  # fmt: skip
_FALLBACK: Final = "workspace"


def from_company(name: str) -> str:
    """A usable label for any company: `Müller & Söhne GmbH` is `muller-and-sohne`.

    A name without a letter we can spell becomes `workspace`, a reserved one gets `-team` behind it.
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold().translate(_SPELLED)).translate(_SPELLED)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    words = re.findall(r"[a-z0-9]+", bare)
    while len(words) > 1 and words[-1] in _LEGAL_FORMS:
        words.pop()
    label = "-".join(words)[:LONGEST].strip("-") or _FALLBACK
    if len(label) < SHORTEST or refusal(label):
        label = f"{label}-team"
    return label


def refusal(label: str) -> str | None:
    """Why `label` cannot be a hostname, with the remedy; None if it can."""
    if not SHORTEST <= len(label) <= LONGEST:
        return f"Use {SHORTEST} to {LONGEST} characters."
    if not _LABEL.fullmatch(label):
        return "Use lower-case letters a to z, digits and hyphens, with a letter or digit at both ends."
    if label[2:4] == "--":
        # RFC 5891 §4.2.3.1: such labels are kept for encoded names, which can look like somebody else's.
        return "Two hyphens as third and fourth character are kept for internationalized names."
    if label in RESERVED:
        return f"{label} is kept for the vendor; choose a name of your own."
    return None


def require_usable(wish: str) -> str:
    """The wish in lower case. Raises Invalid with what would do."""
    label = wish.strip().lower()
    if reason := refusal(label):
        raise Invalid(reason, param="hostname")
    return label


def alternatives(label: str, taken: frozenset[str]) -> Iterator[str]:
    """`label`, then `label-2`, `label-3` and so on without end, leaving out what is known to be taken."""
    if label not in taken:
        yield label
    number = 2
    while True:
        candidate = f"{label}-{number}"
        if candidate not in taken:
            yield candidate
        number += 1
