"""Provisioners that look for work by themselves, or are woken by a webhook: every installation but the sandbox's."""


class PollingProvisioners:
    def ring(self) -> None:
        """They claim every few seconds; there is nobody to call."""
