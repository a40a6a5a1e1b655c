"""What a replica group is made of: the `args` of a Ray Serve config, and what `facet-worker serve --replicas` makes of its options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facet_worker.errors import FacetError
from facet_worker.serve.command import dictionaries_of, model_of, read_token
from facet_worker.serve.settings import MIB, Settings

_USUAL = Settings()
_Count = Annotated[int, Field(ge=1)]


class GroupOptions(BaseModel):
    """One model with its dictionaries, on some replicas. Named as the options of `facet-worker serve`, which say what each means.

    Attributes
    ----------
    queue : how many requests may wait for a replica at one gateway
    concurrency : how many run at once in a replica; None: 8 on a GPU, else 1
    cpus, gpus : what Ray reserves for a replica; a model on a GPU needs `gpus` of 1
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    dictionary: Annotated[list[str], Field(min_length=1)]
    model_id: str | None = None
    token_file: Path | None = None
    queue: Annotated[int, Field(ge=0)] = _USUAL.queue
    concurrency: _Count | None = None
    device: str = ""
    dtype: Annotated[str, Field(pattern="^(|float32|bfloat16|float16)$")] = ""
    max_positions: _Count | None = None
    memory_mib: _Count | None = None
    request_mib: _Count = _USUAL.request_bytes // MIB
    image_megapixels: Annotated[float, Field(gt=0)] = _USUAL.image_pixels / 1e6
    grace: Annotated[float, Field(ge=0)] = _USUAL.grace_seconds
    unchecked_dictionary: bool = False
    compile: bool = False
    taps: bool = False
    replicas: _Count = 1
    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0

    @property
    def at_once(self) -> int:
        """How many requests Ray lets into a replica at once."""
        return self.concurrency or (8 if self.gpus > 0 or self.device.startswith("cuda") else 1)

    def settings(self) -> Settings:
        """Those of the worker in each replica. Reads the token where it runs: from its file, else from FACET_WORKER_TOKEN."""
        return Settings(
            token=read_token(self.token_file),
            taps=self.taps,
            concurrency=self.at_once,
            # Requests wait in Ray's queue, for whichever replica is free first. The places here are for a model that cannot batch, and for the time in
            # which a run whose client left still ends its last token.
            queue=self.at_once,
            request_bytes=self.request_mib * MIB,
            image_pixels=int(self.image_megapixels * 1e6),
            max_positions=self.max_positions,
            memory_bytes=None if self.memory_mib is None else self.memory_mib * MIB,
            grace_seconds=self.grace,
        )

    @classmethod
    def of_command(cls, options: argparse.Namespace) -> GroupOptions:
        """From the options of `facet-worker serve`; paths are made absolute, since replicas have a working folder of their own."""
        given = {name: value for name in cls.model_fields if (value := getattr(options, name, None)) is not None}
        model, revision = model_of(options.model)
        given["model"] = f"{model}@{revision}" if revision else str(Path(model).resolve())
        given["dictionary"] = [
            f"{hook}={named.resolve() if isinstance(named, Path) else named}" for hook, named in dictionaries_of(options.dictionary).items()
        ]
        if options.token_file is not None:
            given["token_file"] = options.token_file.resolve()
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            name = str(wrong["loc"][0]).replace("_", "-")
            raise FacetError(f"--{name} is not right: {wrong['msg']}.", "invalid_request") from None
