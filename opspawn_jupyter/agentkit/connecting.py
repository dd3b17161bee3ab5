"""How a model of a provider is reached: with which key, at which address, without retries of the
provider's library."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from openai import AsyncOpenAI
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_ai.providers.openai import OpenAIProvider

from opspawn_jupyter.model.agent import ModelOptions

#: Providers' libraries want a key even where a server of one's own asks for none.
_NO_KEY = "none"
#: Where a key may lie beside the usual place.
_FURTHER_NAMES = {"google": "GEMINI_API_KEY", "xai": "XAI_API_KEY"}


def key_of(name: str, options: ModelOptions) -> str:
    """The key that the run uses, as far as it lies in the environment."""
    if options.api_key_env is not None:
        return os.environ.get(options.api_key_env, "")
    provider = name.partition(":")[0].split("-")[0]
    usual = os.environ.get(f"{provider.upper()}_API_KEY", "")
    return usual or os.environ.get(_FURTHER_NAMES.get(provider, ""), "")


def connected(name: str, options: ModelOptions, key: str) -> Model:
    """The model. Raises ``UserError``, ``ImportError`` or ``ValueError`` where it cannot be."""
    provider, _, model = name.partition(":")
    if provider in ("openai", "openai-chat"):
        return OpenAIChatModel(model, provider=OpenAIProvider(openai_client=_openai(options, key)))
    made = infer_model(name, provider_factory=lambda one: _provider(one, options, key))
    client: Any = getattr(made, "client", None)  # each library has its own
    if hasattr(client, "max_retries"):
        client.max_retries = 0  # retries are counted in one place, ``patience``
    return made


def _openai(options: ModelOptions, key: str) -> AsyncOpenAI:
    usable = key or (_NO_KEY if options.base_url else None)
    return AsyncOpenAI(base_url=options.base_url, api_key=usable, max_retries=0)


def _provider(name: str, options: ModelOptions, key: str) -> Provider[Any]:
    kind = infer_provider_class(name)
    made: Provider[Any] = kind(**_arguments(kind, name, options, key))
    return made


def _arguments(
    kind: type[Provider[Any]], name: str, options: ModelOptions, key: str
) -> Mapping[str, Any]:
    """What the provider's class is called with; each takes something else."""
    if options.base_url is None:
        return {"api_key": key} if options.api_key_env else {}
    takes = inspect.signature(kind).parameters
    if "base_url" in takes:
        return {"base_url": options.base_url, "api_key": key or _NO_KEY}
    if "openai_client" in takes:
        return {"openai_client": _openai(options, key)}
    message = f"the provider {name} takes no base_url"
    raise UserError(message)
