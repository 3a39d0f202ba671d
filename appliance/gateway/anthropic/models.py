"""The served models in the format of Anthropic's API, page by page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, Field

from appliance.errors import RequestError
from appliance.gateway.bodies.strict import Strict
from appliance.gateway.chat.served_model import ServedModel


class ModelQuery(Strict):
    """Query of `/v1/models`. Clients add their own parameters, such as `beta`; these are ignored."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(20, ge=1, le=1000)
    after_id: str | None = None
    before_id: str | None = None


def model_info(model: ServedModel, created: int) -> dict[str, Any]:
    """One model; `created` is in seconds since 1970."""
    context = model.manifest.shape.context_tokens
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": dt.datetime.fromtimestamp(created, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": context,
        "max_tokens": context,
    }


def model_page(models: Sequence[ServedModel], query: ModelQuery, created: int) -> dict[str, Any]:
    """The page of models after or before a given model; with neither, the first page.

    Raises:
        RequestError: there is no such model, or both parameters are given.
    """
    if query.after_id is not None and query.before_id is not None:
        raise RequestError("after_id and before_id cannot be used together", param="before_id")
    if query.before_id is not None:
        found = models[: _place(models, query.before_id, "before_id")]
        page = found[-query.limit :]
    else:
        found = models if query.after_id is None else models[_place(models, query.after_id, "after_id") + 1 :]
        page = found[: query.limit]
    return {
        "data": [model_info(model, created) for model in page],
        "first_id": page[0].name if page else None,
        "last_id": page[-1].name if page else None,
        "has_more": len(page) < len(found),
    }


def _place(models: Sequence[ServedModel], name: str, param: str) -> int:
    for place, model in enumerate(models):
        if model.name == name:
            return place
    raise RequestError(f"{param}: there is no model {name!r}", param=param)
