"""What a process needs to start; everything a business decides is a policy row instead (ADR 0016)."""

import re
from base64 import b64decode
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_LIVE_KEYS: Final = ("sk_live_", "rk_live_")
_TEST_KEYS: Final = ("sk_test_", "rk_test_")


class ListeningProvisioner(BaseModel):
    """`secret` signs what is sent to `url`; `key` is the id of the API key with which it reports."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern="^https?://[!-~]+$")
    secret: SecretStr
    key: str = Field(pattern="^key_[0-9a-z]{26}$")
    regions: tuple[str, ...] = ()

    @field_validator("secret")
    @classmethod
    def is_a_signing_secret(cls, secret: SecretStr) -> SecretStr:
        given = secret.get_secret_value()
        try:
            long_enough = len(b64decode(given.removeprefix("whsec_"), validate=True)) >= 24
        except ValueError:
            long_enough = False
        if not given.startswith("whsec_") or not long_enough:
            raise ValueError('must be "whsec_" and the base64 of at least 24 random bytes (openssl rand -base64 24)')
        return secret


class Settings(BaseSettings):
    """Read from `BLP_…` variables and `.env`. Refuses to start half configured and names what is missing."""

    model_config = SettingsConfigDict(env_prefix="BLP_", env_file=".env", frozen=True, extra="ignore")

    env: Literal["dev", "test", "prod"] = "dev"
    # postgresql+psycopg://user:password@host/database; without it the embedded server is used (not in prod).
    database_url: str | None = None
    secret_key: SecretStr | None = None
    base_url: str = "http://127.0.0.1:8000"
    host: str = "127.0.0.1"
    port: int = 8000
    vendor_name: str = "Acme Collaboration"
    payments: Literal["sandbox", "stripe"] = "sandbox"
    stripe_secret_key: SecretStr | None = None
    stripe_webhook_secret: SecretStr | None = None
    stripe_api_base: str | None = None  # only for tests: another address than Stripe's
    mail: Literal["sandbox", "smtp"] = "sandbox"
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = True
    mail_from: str = "billing@vendor.example"
    tax_ids: Literal["sandbox", "registries", "none"] = "sandbox"
    # With BLP_TAX_IDS=registries: the seller's own numbers get consultation numbers, HMRC answers applications only.
    vies_url: str = "https://ec.europa.eu/taxation_customs/vies/rest-api/check-vat-number"
    vies_requester: str = ""
    hmrc_url: str = "https://api.service.hmrc.gov.uk"
    hmrc_client_id: str = ""
    hmrc_client_secret: SecretStr | None = None
    hmrc_requester: str = ""
    # `stripe`: Stripe Tax computes the tax of buyers in the countries of the policy tax_provider_countries.
    tax: Literal["rates", "stripe"] = "rates"
    # Where nothing else is the sandbox's (production), provisioners are always external.
    provisioner: Literal["sandbox", "external"] = "sandbox"
    # External provisioners that are sent their tasks, as a JSON list; the others come for them.
    provisioners: tuple[ListeningProvisioner, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    # A header that a trusted proxy sets, such as CF-IPCountry; empty: nothing is known of where a caller comes from.
    ip_country_header: str = ""
    # Validations per address and per API key, in each web process; a burst of 0 lifts the limit (benchmarks).
    validate_burst: int = Field(default=30, ge=0)
    validate_per_second: float = Field(default=3, gt=0)
    validate_key_burst: int = Field(default=1000, ge=0)
    validate_key_per_second: float = Field(default=100, gt=0)
    log_format: Literal["json", "console"] = "json"
    pool_size: int = 10

    @property
    def sandbox(self) -> bool:
        """Whether any part of the outside world is the built-in sandbox."""
        return "sandbox" in {self.payments, self.mail, self.tax_ids}

    @property
    def takes_money(self) -> bool:
        """Whether what is paid here is real money: documents say TEST where it is not."""
        return not self.sandbox and self._stripe_key().startswith(_LIVE_KEYS)

    def _stripe_key(self) -> str:
        return self.stripe_secret_key.get_secret_value() if self.stripe_secret_key else ""

    @model_validator(mode="after")
    def refuse_half_configured(self) -> Self:
        missing = []
        if self.payments == "stripe":
            missing += [
                f"BLP_PAYMENTS=stripe needs {name}"
                for name, value in (
                    ("BLP_STRIPE_SECRET_KEY", self.stripe_secret_key),
                    ("BLP_STRIPE_WEBHOOK_SECRET", self.stripe_webhook_secret),
                )
                if value is None or not value.get_secret_value()
            ]
        if self.tax == "stripe" and not self._stripe_key():
            missing.append("BLP_TAX=stripe needs BLP_STRIPE_SECRET_KEY")
        if "stripe" in {self.payments, self.tax}:
            missing += self._wrong_about_stripe()
        if self.mail == "smtp" and not self.smtp_host:
            missing.append("BLP_MAIL=smtp needs BLP_SMTP_HOST")
        if self.provisioners and self.sandbox and self.provisioner != "external":
            missing.append("BLP_PROVISIONERS needs BLP_PROVISIONER=external: the sandbox's own does all the work here")
        if self.ip_country_header and not self.trusted_proxies:
            missing.append("BLP_IP_COUNTRY_HEADER needs BLP_TRUSTED_PROXIES: from anybody else it could be made up")
        missing += self._wrong_about_registries()
        if self.secret_key is not None and len(self.secret_key.get_secret_value()) < 32:
            missing.append("BLP_SECRET_KEY must have at least 32 characters (openssl rand -hex 32 makes one)")
        if self.env == "prod":
            missing += self._missing_in_production()
        if missing:
            raise ValueError("; ".join(missing))
        return self

    def _wrong_about_stripe(self) -> list[str]:
        """A key of the other mode than this installation's would take real money for nothing, or none for something."""
        key, wrong = self._stripe_key(), []
        if key and not key.startswith(_LIVE_KEYS + _TEST_KEYS):
            wrong.append("BLP_STRIPE_SECRET_KEY must be a secret or restricted key (sk_…, rk_…), not a publishable one")
        if self.env == "prod" and key.startswith(_TEST_KEYS):
            wrong.append(
                "BLP_ENV=prod refuses a Stripe test key, with which nobody pays: take a live key or BLP_ENV=dev"
            )
        if self.env != "prod" and key.startswith(_LIVE_KEYS):
            wrong.append("a live Stripe key takes real money and needs BLP_ENV=prod: set that, or a test key")
        if self.env == "prod" and self.stripe_api_base is not None:
            wrong.append("BLP_ENV=prod refuses BLP_STRIPE_API_BASE, which is for tests only")
        secrets = self.stripe_webhook_secret.get_secret_value() if self.stripe_webhook_secret else ""
        if any(not each.strip().startswith("whsec_") for each in secrets.split(",") if each.strip()):
            wrong.append("BLP_STRIPE_WEBHOOK_SECRET must be the endpoint's signing secret (whsec_…); several by commas")
        return wrong

    def _wrong_about_registries(self) -> list[str]:
        """Half an application of HMRC's, or a number of ours that VIES would refuse with every question."""
        wrong = []
        if bool(self.hmrc_client_id) != bool(self.hmrc_client_secret and self.hmrc_client_secret.get_secret_value()):
            wrong.append("BLP_HMRC_CLIENT_ID and BLP_HMRC_CLIENT_SECRET belong together: set both, or neither")
        if self.vies_requester and not re.fullmatch(r"[A-Z]{2}[0-9A-Z+*]{2,12}", self.vies_requester):
            wrong.append("BLP_VIES_REQUESTER must be your own VAT number with its prefix, such as IE6388047V")
        if self.env == "prod":
            wrong += [
                f"BLP_ENV=prod needs {name} to begin with https://"
                for name, url in (("BLP_VIES_URL", self.vies_url), ("BLP_HMRC_URL", self.hmrc_url))
                if not url.startswith("https://")
            ]
        return wrong

    def _missing_in_production(self) -> list[str]:
        missing = []
        if self.secret_key is None:
            missing.append("BLP_ENV=prod needs BLP_SECRET_KEY")
        if self.database_url is None:
            missing.append("BLP_ENV=prod needs BLP_DATABASE_URL")
        if not self.base_url.startswith("https://"):
            missing.append("BLP_ENV=prod needs BLP_BASE_URL to begin with https://")
        missing += [
            f"BLP_ENV=prod refuses the sandbox: set {name}"
            for name, value in (
                ("BLP_PAYMENTS=stripe", self.payments), ("BLP_MAIL=smtp", self.mail),
                ("BLP_TAX_IDS=registries or none", self.tax_ids),
            )
            if value == "sandbox"
        ]  # fmt: skip
        return missing


class Misconfigured(SystemExit):
    """Printed instead of a traceback; exit status 2."""

    def __init__(self, text: str) -> None:
        super().__init__(2)
        self.text = text


def load(**overrides: object) -> Settings:
    """The settings of this process. Raises Misconfigured with one line per missing or wrong value."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic-settings checks the values itself
    except ValidationError as exc:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in exc.errors()]
        raise Misconfigured("BLP cannot start:\n  " + "\n  ".join(lines)) from exc
