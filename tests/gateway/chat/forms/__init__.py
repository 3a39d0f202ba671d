"""The forms of published chat templates: the families, and the constructs with which templates handle content."""

from __future__ import annotations

from tests.gateway.chat.forms.constructs import CONSTRUCTS
from tests.gateway.chat.forms.families import FAMILIES
from tests.gateway.chat.forms.form import Form

FORMS = {**FAMILIES, **CONSTRUCTS}

__all__ = ["FORMS", "Form"]
