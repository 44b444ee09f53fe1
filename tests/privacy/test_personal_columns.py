"""Personal data is known by its tag, so a column that looks personal is tagged or says here why it is not."""

import re

import pytest
from sqlalchemy.dialects.postgresql import JSONB

import app.main
import app.worker  # noqa: F401 -- with the line above, every room's tables are known
from app.core.db import metadata
from app.privacy import personal

# A whole word of a column's name that people's data usually hides behind.
LOOKS_PERSONAL = re.compile(
    r"(?:^|_)(email|name|ip|user_agent|line1|line2|city|postcode|phone|person|company|contact|buyer|customer|recipient"
    r"|comment|note|notes|html|text|subject|message|body|payload|description|reason|memo|label|details|hostname|url"
    r"|to|by|why|error|headers|response|value)(?:$|_)"
)
# The vendor publishes these about itself.
VENDORS = "the vendor's own data"
CATALOG = "from the catalog file"
SENTENCE = "a sentence or code the software makes, without personal data"
NOT_PERSONAL = {
    "custom_agreement.renews_by_itself": "yes or no",
    "order.carried_to": "the id of a row",
    "account_tax_id.override_by": "the id of a member of staff",
    "tax_id_check.name_match": "same, differs or not told",
    "screening_case.decided_by": "the id of a member of staff",
    "key_compromise.started_by": "the id of a member of staff, or how the command was given",
    "license_revocation.reason": "one of two words",
    "subscription.parked_by_screening": "yes or no",
    "ownership_attestation.text": "the vendor's own words",
    "ownership_attestation.text_sha256": "a hash of the vendor's own words",
    "ownership_attestation.text_version": "which words",
    "ownership_attestation.recorded_by": "buyer, or the id of a member of staff",
    "screening_decision.decided_by": "the id of a member of staff",
    "screening_check.checked_by": "order or rescreen",
    "screening_entry.name": "from a public list",
    "screening_entry.url": "the address of a public list",
    "screening_version.imported_by": "an id or user name of the vendor's operator",
    "exchange_rate.recorded_by": "the id of the vendor's operator",
    "exchange_rate.why": "why the vendor decided it",
    "exemption_certificate.reason": "one of a few words",
    "exemption_certificate.reviewed_by": "the id of a staff member",
    "exemption_certificate.revoked_by": "the id of a staff member",
    "exemption_certificate.submitted_by": "the id of a member of the account or of a key",
    "nexus_alert.seen_by": "the id of a staff member",
    "nexus_alert.seen_note": "what the vendor decided",
    "tax_record.credit_note_id": "the id of a row",
    "tax_override.buyer_type": "a kind of buyer",
    "tax_override.ended_by": "the id of a staff member or of the operator",
    "tax_override.ended_why": "why the vendor decided it",
    "tax_override.note": "a sentence the vendor prints",
    "tax_override.recorded_by": "the id of a staff member or of the operator",
    "tax_override.valid_to": "a date",
    "tax_override.why": "why the vendor decided it",
    "tax_local_rate.plus4_to": "a range of ZIP codes",
    "tax_local_rate.valid_to": "a date",
    "tax_local_rate.zip_to": "a range of ZIP codes",
    "tax_local_version.imported_by": "an id or user name of the vendor's operator",
    "order.pay_by": "card or invoice",
    "payment.recorded_by": "the id of a member of staff or of a key",
    "api_key.name": "the name whoever made the key gave to a program",
    "audit_entry.subject": "the id of a row",
    "catalog_version.applied_by": "an id or user name of the vendor's operator",
    "coupon.name": CATALOG,
    "coupon.valid_to": "a date",
    "credit_note.notes": "sentences the law asks for",
    "credit_note.reason": "one of a few words",
    "credit_note.supply_to": "a date",
    "credit_note.to_balance_minor": "an amount",
    "credit_note.to_invoice_minor": "an amount",
    "credit_note.to_refund_minor": "an amount",
    "credit_note_line.credit_note_id": "the id of a row",
    "credit_note_line.description": CATALOG,
    "credit_note_line.period_to": "a date",
    "credit_note_tax.credit_note_id": "the id of a row",
    "credit_note_tax.name": "the name of a tax",
    "dispute.reason": "the provider's code",
    "entitlement.value": CATALOG,
    "issued_document.credit_note_id": "the id of a row",
    "invoice.notes": "sentences the law asks for",
    "invoice.supply_to": "a date",
    "invoice_line.description": CATALOG,
    "invoice_line.period_to": "a date",
    "invoice_tax.name": "the name of a tax",
    "job_failure.error": "what and where, with addresses taken out",
    "job_failure.name": "the name of a job",
    "job_run.name": "the name of a job",
    "ledger_account.name": "the chart of accounts",
    "ledger_entry.memo": SENTENCE,
    "legal_entity.city": VENDORS,
    "legal_entity.email": VENDORS,
    "legal_entity.line1": VENDORS,
    "legal_entity.line2": VENDORS,
    "legal_entity.name": VENDORS,
    "legal_entity.payment_details": VENDORS,
    "legal_entity.postcode": VENDORS,
    "legal_entity.sells_to_consumers": VENDORS,
    "license_activation.deactivated_by": "product, heartbeat, or the id of a member or of staff",
    "license_activation.ended_by": "product, customer, staff or silence",
    "license_activation_limit.set_by": "the id of a member of staff",
    "license.label": "tells apart the licenses of an account, such as production and staging",
    "license.superseded_by": "the id of a row",
    "order_line.description": CATALOG,
    "charge_answer.customer_ref": "the provider's reference",
    "charge_answer.method_label": "brand and last four digits of a card",
    "payment.method_label": "brand and last four digits of a card",
    "payment_attempt.redirect_url": "the provider's pay page",
    "card_setup.redirect_url": "the provider's page for a card",
    "card_setup.requested_by": "the id of a person, a program or a link",
    "payment_method.customer_ref": "the provider's id; deleting there is what forgets",
    "payment_method.label": "brand and last four digits of a card",
    "plan.name": CATALOG,
    "policy_value.name": "the name of a policy",
    "policy_value.set_by": "an id or user name of the vendor's operator",
    "policy_value.value": "a figure the vendor decided",
    "policy_value.why": "why the vendor decided it",
    "price.valid_to": "a date",
    "refund.credit_note_id": "the id of a row",
    "refund.decided_by": "the id of a staff member or key",
    "refund.reason": "one of a few words",
    "refund.to_credit_minor": "an amount",
    "refund.requested_by": "the id of a staff member or key",
    "provisioning_task.claimed_by": "the name of a program",
    "provisioning_task.failure_reason": "told by the vendor's provisioner, about a server",
    "provisioning_task.message": "told by the vendor's provisioner, about a server",
    "invoice_reminder.skipped_reason": SENTENCE,
    "renewal_reminder.skipped_reason": SENTENCE,
    "sandbox_checkout.cancel_url": "the sandbox's: an order's own page",
    "sandbox_checkout.description": CATALOG,
    "sandbox_checkout.success_url": "the sandbox's: an order's own page",
    "sandbox_event.target_url": "our own webhook",
    "sandbox_hook.name": "the name of a receiver in the sandbox",
    "sandbox_hook.headers": "of our own outgoing request",
    "sandbox_intent.customer_id": "the sandbox's id; the customer's row is tagged",
    "sandbox_intent.description": CATALOG,
    "sandbox_mail.message_id": "made by the software, from an id",
    "sandbox_method.customer_id": "the sandbox's id; the customer's row is tagged",
    "sandbox_checkout.consent": "our own sentence",
    "sandbox_setup.cancel_url": "the sandbox's: our own page",
    "sandbox_setup.consent": "our own sentence",
    "sandbox_setup.customer_id": "the sandbox's id; the customer's row is tagged",
    "sandbox_setup.success_url": "the sandbox's: our own page",
    "sandbox_refund.reason": "one of three words",
    "sandbox_switches.target_url": "our own webhook",
    "scheduled_change.closed_by": "the id of a member of the account, of staff or of a key",
    "scheduled_change.requested_by": "the id of a member of the account, of staff or of a key",
    "seller_registration.valid_to": "a date",
    "signing_key.valid_to": "a date",
    "state_move.to_state": "a state",
    "subscription_line.description": CATALOG,
    "custom_agreement.effective_to": "a date",
    "custom_agreement.ended_by": "the id of one of the vendor's people",
    "custom_agreement.recorded_by": "the id of one of the vendor's people",
    "quote.prepared_by": "the id of one of the vendor's people or programs",
    "quote.sent_by": "the id of one of the vendor's people or programs",
    "quote_approval.approved_by": "the id of one of the vendor's people",
    "quote_approval.prepared_by": "the id of one of the vendor's people or programs",
    "quote_line.description": CATALOG,
    "survey_invitation.person_hash": "a keyed hash, kept so that an opt-out keeps holding",
    "survey_invitation.suppressed_reason": SENTENCE,
    "survey_invitation.email_due_at": "an instant",
    "survey_opt_out.person_hash": "a keyed hash, kept so that an opt-out keeps holding",
    "terms_version.text": "the terms of sale",
    "webhook_delivery.last_error": "never repeats what the peer said",
    "webhook_endpoint.description": "the name whoever made the endpoint gave it",
    "webhook_endpoint.disabled_reason": SENTENCE,
    "webhook_endpoint.url_sealed": "sealed; an address of a program",
    "workspace.failure_reason": "told by the vendor's provisioner, about a server",
    "workspace.message": "told by the vendor's provisioner, about a server",
}
# JSON can hold anything, so each column of it is tagged or has its content named here.
HARMLESS_JSON = {
    "credit_terms.limits": "amounts by currency",
    "issued_document.tax_there": "an amount with its exchange rate",
    "api_key.scopes": "scopes",
    "catalog_version.changes": "what changed in the catalog",
    "coupon.amounts": CATALOG,
    "coupon.plans": CATALOG,
    "credit_note.notes": "sentences the law asks for",
    "credit_note.seller": VENDORS,
    "credit_note_line.tax_parts": "amounts",
    "entitlement.value": "flags and limits",
    "invoice.discount": "what a coupon is worth",
    "invoice.notes": "sentences the law asks for",
    "invoice.seller": VENDORS,
    "invoice_line.pricing": CATALOG,
    "legal_entity.elections": VENDORS,
    "legal_entity.established": VENDORS,
    "license.entitlements": "flags and limits",
    "merged_license.entitlements": "flags and limits",
    "merged_license.sources": "ids of licenses with seats and ends",
    "order.change": "seats, days and amounts of a change",
    "order.discount": "what a coupon is worth",
    "screening_case.entry": "an entry of a public list",
    "screening_check.versions": "which lists",
    "screening_entry.alt_names": "from a public list",
    "screening_entry.countries": "from a public list",
    "screening_entry.programs": "from a public list",
    "order.reasons": "why an order is not automatic: codes and figures",
    "order_line.change": "seats, days and amounts of a change",
    "order_line.pricing": CATALOG,
    "plan.activation_rules": CATALOG,
    "plan.add_on_for": CATALOG,
    "plan.bullets": CATALOG,
    "plan.flags": CATALOG,
    "policy_value.value": "a figure the vendor decided",
    "preview.change": "seats, days and amounts of a change",
    "preview.discount": "what a coupon is worth",
    "preview.lines": "plans, quantities, prices",
    "quote.seller": VENDORS,
    "preview.reasons": "why an order is not automatic: codes and figures",
    "price.tiers": CATALOG,
    "quote.reasons": "why an order is not automatic: codes and figures",
    "refund.nets": "amounts by line",
    "renewal_opening.reasons": "why a renewal is not automatic: codes and figures",
    "sandbox_checkout.extra": "ids of ours, as metadata",
    "sandbox_checkout.intent_template": "ids of ours, as metadata",
    "sandbox_customer.extra": "ids of ours, as metadata",
    "sandbox_hook.headers": "of our own outgoing request",
    "sandbox_intent.extra": "ids of ours, as metadata",
    "sandbox_setup.extra": "our own ids",
    "sandbox_setup.intent_extra": "our own ids",
    "sandbox_refund.extra": "ids of ours, as metadata",
    "scheduled_change.dropped": "skus of add-ons",
    "subscription_line.pricing": CATALOG,
    "survey_invitation.segment": "plan, size and kind of a purchase",
    "nexus_alert.figures": "sums of sales",
    "tax_calculation.reply": "rates and amounts; the buyer is taken out",
    "tax_calculation.result": "rates, amounts and reasons",
    "tax_determination.result": "rates, amounts and reasons",
    "tax_record.lines": "the ids of lines",
    "webhook_endpoint.event_types": "names of events",
}
KNOWN = {f"{each.table}.{each.column}" for each in personal.columns()}
ALL = {f"{table.name}.{column.name}": column for table in metadata.tables.values() for column in table.columns}


def test_every_column_with_a_personal_name_is_tagged_or_explained() -> None:
    suspicious = {name for name in ALL if LOOKS_PERSONAL.search(name.partition(".")[2])}
    assert suspicious - KNOWN - NOT_PERSONAL.keys() == set()


def test_every_column_of_json_is_tagged_or_has_its_content_named() -> None:
    json = {name for name, column in ALL.items() if isinstance(column.type, JSONB)}
    assert json - KNOWN - HARMLESS_JSON.keys() == set()


def test_no_explanation_outlives_its_column_or_contradicts_a_tag() -> None:
    explained = NOT_PERSONAL.keys() | HARMLESS_JSON.keys()
    assert explained - ALL.keys() == set()
    assert explained & KNOWN == set()


def test_a_tag_is_one_of_four_kinds() -> None:
    assert {each.category for each in personal.columns()} == {"contact", "name", "network", "free_text"}


@pytest.mark.parametrize(
    "name", ["member.email", "acceptance.ip", "web_session.user_agent", "survey_response.comment", "invoice.buyer"]
)
def test_what_everybody_would_call_personal_is_found(name: str) -> None:
    assert name in KNOWN


def test_columns_are_listed_once_in_order() -> None:
    listed = [(each.table, each.column) for each in personal.columns()]
    assert listed == sorted(set(listed))
