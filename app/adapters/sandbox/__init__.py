"""A whole outside world for trying BLP: a payment provider, a mailbox, a tax registry, a provisioner, a clock.

It ships with the app, keeps tables of its own, and refuses to start in production.
"""


class SandboxInProduction(RuntimeError):
    """The sandbox was about to run where real money or real customers are: a mistake in wiring."""


def refuse_in_production(*, env: str, stripe_key: str = "") -> None:
    """The second lock behind `Settings`: raises SandboxInProduction for `prod` or next to a live Stripe key."""
    if env == "prod":
        raise SandboxInProduction("the sandbox never runs with BLP_ENV=prod")
    if stripe_key.startswith(("sk_live_", "rk_live_")):
        raise SandboxInProduction("the sandbox never runs beside a live Stripe key; use a test key")
