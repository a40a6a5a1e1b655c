"""`[explain.endpoint]` and `[score.endpoint]` of a pipeline's file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from facet_worker.endpoint.settings import EndpointSettings, Prices
from facet_worker.errors import FacetError
from facet_worker.pipeline.settings import Name, Positive, Section

Above = Annotated[float, Field(gt=0)]
Money = Annotated[float, Field(ge=0)]


class EndpointSection(Section):
    """See `EndpointSettings`. `price_read` and `price_written` are for a million tokens."""

    url: Name
    model: Name
    key_env: Name = "FACET_ENDPOINT_KEY"
    timeout_s: Above = 120.0
    attempts: Positive = 5
    concurrency: Positive = 4
    per_minute: Above | None = None
    price_read: Money | None = None
    price_written: Money | None = None
    cost_limit: Money | None = None
    image_tokens: Positive = 3000

    def settings(self) -> EndpointSettings:
        """Throws `invalid_request` for settings that mean nothing or would give a key away."""
        if (self.price_read is None) != (self.price_written is None):
            raise FacetError("An endpoint's price is given in part.", "invalid_request", fix="Give price_read and price_written.")
        prices = None if self.price_read is None or self.price_written is None else Prices(self.price_read, self.price_written)
        made = EndpointSettings(
            self.url, self.model, self.key_env, self.timeout_s, self.attempts, concurrency=self.concurrency, per_minute=self.per_minute,
            prices=prices, cost_limit=self.cost_limit, image_tokens=self.image_tokens,
        )  # fmt: skip
        made.check()
        return made
