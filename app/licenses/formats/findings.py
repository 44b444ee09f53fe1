"""What a check has to say: used by the linter, the offline report and online validation alike."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"  # the file is refused, or the license is not valid
    WARNING = "warning"  # it works, but not as somebody may expect
    NOTICE = "notice"  # worth knowing


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation. `code` is public and stable; `detail` gives this case's figures; `remedy` says what to do."""

    code: str
    severity: Severity
    detail: str
    remedy: str

    @property
    def blocks(self) -> bool:
        return self.severity is Severity.ERROR
