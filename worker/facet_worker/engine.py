"""What every engine of this package promises, and what the server builds on; the Python side of lib/engine/engine.ts.

Requests and events are the JSON of the wire contract (lib/core/protocol.ts). A request was validated against it and has its defaults filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

Pixels = npt.NDArray[np.uint8]
"""A decoded picture, [height, width, 3]."""


@dataclass
class HookEvent:
    """One pass of the hook: the whole prompt, or one generated token.

    Attributes
    ----------
    first : position of row 0; prompt positions count from 0 without padding, generated ones go on from there
    hidden : float32 [rows, width], the model's own states
    output : float32 [rows, width], what the blocks above are about to be given; live: whoever writes here changes the run, and the receipt says so
    """

    arm: str
    first: int
    hidden: Tensor
    output: Tensor


@dataclass
class Tap:
    """For tests and measurements: sees what passes, and can fix the answer.

    Attributes
    ----------
    on_logits : (arm, i, logits float32 [vocabulary]) from which generated token `i` of the arm is chosen
    force : by arm, tokens to write instead of the model's own choice; the arm stops at their end
    """

    on_hidden: Callable[[HookEvent], None] | None = None
    on_logits: Callable[[str, int, Tensor], None] | None = None
    force: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class AttributionSize:
    """How large an attribution is, known before the model runs.

    Attributes
    ----------
    positions, tokens : of the prompt, and of the answer at most
    written : whether the engine writes the answer first
    above : blocks above the hook, which the gradient passes
    rows : how many ablations are one batch; 0 where none are asked for
    """

    positions: int
    tokens: int
    written: bool
    above: int
    rows: int


Admit = Callable[[AttributionSize], bool]
"""Told before the model runs, and may refuse by throwing; True where memory is short: activations are then computed again for the gradient in place of
being kept, and ablations pass one by one."""


def keep_all(_: AttributionSize) -> bool:
    """Where nobody counts memory."""
    return False


class Engine(Protocol):
    """One model with one or more dictionaries. Not for two threads at once: whoever serves it keeps the line.

    Every method throws `FacetError` with a code of the wire contract.
    """

    def dictionaries(self) -> list[str]:
        """References `<model>/<dictionary>` of what is served, at least one."""
        ...

    def info(self, dictionary: str | None = None) -> dict[str, Any]:
        """`EngineInfo` of engine.ts for a dictionary (the first where none is named). Throws `dictionary_not_found`."""
        ...

    def features(self, request: dict[str, Any], images: Sequence[Pixels], cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Which features fire on one image, cell by cell: `ImageFeatures` of engine.ts, a map's positions and values as plain lists.

        Parameters
        ----------
        request : an `AnalyseRequest`
        images : that one picture
        """
        ...

    def activations(
        self,
        request: dict[str, Any],
        images: Sequence[Pixels],
        cancelled: Callable[[], bool],
        admit: Callable[[int], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Which features fire on the prompt of some messages, as `facet_worker.activations.input_activations` tells it.

        Parameters
        ----------
        request : the request of `POST /v1/activations`
        images : pictures in the order in which the messages name them
        admit : told how many positions the prompt has before the model runs, and may refuse by throwing
        """
        ...

    def generate(
        self,
        request: dict[str, Any],
        images: Sequence[Pixels],
        units: Mapping[int, float],
        cancelled: Callable[[], bool],
        tap: Tap | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Runs the arms and tells of them token by token: `meta`, `token`s, `receipt`s, `done`.

        Whatever can be refused without running the model is thrown before the first event, what fails later in between. A run that is cancelled half-way
        ends its arms with `finish: "cancelled"` within a token; one that has not begun throws `cancelled`. Closing the iterator frees everything.

        Parameters
        ----------
        request : a `GenerateRequest`
        images : pictures in the order in which the messages name them; a receipt's hash of one that came as a data URL is that of its bytes
        units : a feature's maximum activation over the catalogue; absent or 0 where it never fired
        """
        ...

    def attribute(
        self,
        request: dict[str, Any],
        images: Sequence[Pixels],
        units: Mapping[int, float],
        cancelled: Callable[[], bool],
        admit: Admit = keep_all,
    ) -> Iterator[dict[str, Any]]:
        """Which features make a token of an answer what it is: `result`, `measured`s, `agreement`, `done` of lib/core/attribution.ts.

        Refused before the first event, and by `cancelled`, as `generate`; stops between two passes.

        Parameters
        ----------
        request : an `AttributionRequest`
        """
        ...
