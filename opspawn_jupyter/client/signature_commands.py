"""What ``sign`` and ``signatures`` do, and their answers as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opspawn_jupyter.client.client import Client
from opspawn_jupyter.client.parser import Options
from opspawn_jupyter.client.task_text import columns
from opspawn_jupyter.model.signature import Signature, SignatureList

SignatureAnswer = Signature | SignatureList
_HEADINGS = ("meaning", "name", "user", "signed (UTC)", "reason")


def signature_text(signature: Signature) -> str:
    """The signature, in one sentence."""
    when = f"{signature.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{signature.name} ({signature.signed_by}) signed as {signature.meaning}, {when}: "
        f"{signature.reason}\nunder the report {signature.report_sha256}: {signature.headline}"
    )


def signature_list(listed: SignatureList) -> str:
    """A line for each, under a heading."""
    if not listed.signatures:
        return "nobody has signed"
    return columns(_HEADINGS, [_row(one) for one in listed.signatures])


def _row(one: Signature) -> tuple[str, ...]:
    return one.meaning.value, one.name, one.signed_by, f"{one.signed_at:%Y-%m-%d %H:%M}", one.reason


def _sign(client: Client, options: Options) -> Signature:
    return client.sign(options.task, options.meaning, reason=options.reason, name=options.name)


def _signatures(client: Client, options: Options) -> SignatureList:
    return client.signatures(options.task)


SIGNATURE_COMMANDS: Mapping[str, Callable[[Client, Options], SignatureAnswer]] = {
    "sign": _sign,
    "signatures": _signatures,
}
