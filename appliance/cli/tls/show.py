"""`appliance tls show`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from appliance.auth.certificate import CertificateFacts
from appliance.auth.policy import CA_CERTIFICATE, SERVER_CERTIFICATE
from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, table
from appliance.errors import UsageError


@click.command("show")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> None:
    """Show the certificates of this box and their expiry dates.

    These are the certificates of the server, the site CA and the client CA.
    """
    access = box.config.access
    paths = {
        "server": Path(access.certificate or box.layout.tls / SERVER_CERTIFICATE),
        "site CA": box.layout.tls / CA_CERTIFICATE,
        **({"client CA": Path(access.client_ca)} if access.client_ca else {}),
    }
    found = {role: (path, CertificateFacts.load(path)) for role, path in paths.items() if path.exists()}
    if not found:
        raise UsageError("this box has no certificate", hint="create one: appliance tls init")
    now = datetime.now(timezone.utc)
    if as_json:
        print_json({role: {"path": str(path), **_fields(facts, now)} for role, (path, facts) in found.items()})
        return
    for role, (path, facts) in found.items():
        fields = _fields(facts, now)
        click.echo(f"{role}: {path}")
        table(
            None,
            [
                ("  subject", facts.subject),
                ("  issuer", facts.issuer),
                ("  names", ", ".join(facts.names) or "none"),
                ("  valid", f"{fields['begins']} to {fields['ends']}, {fields['days_left']} days left"),
                ("  sha256", facts.sha256),
            ],
        )


def _fields(facts: CertificateFacts, now: datetime) -> dict[str, object]:
    return {
        "subject": facts.subject,
        "issuer": facts.issuer,
        "names": list(facts.names),
        "begins": facts.begins.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ends": facts.ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "days_left": (facts.ends - now).days,
        "sha256": facts.sha256,
    }
