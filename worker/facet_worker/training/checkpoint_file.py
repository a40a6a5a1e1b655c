"""A checkpoint's tensors in a file, where PyTorch's own writer would hide what the file system refused."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import torch


class _Watched:
    """A file that keeps what it was refused."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.refused: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.refused = error
            raise

    def flush(self) -> None:
        self.file.flush()


def save_state(state: dict[str, Any], path: Path) -> None:
    """Writes it with `torch.save`. Throws the `OSError` of a full disk, of which PyTorch makes a `RuntimeError` about positions."""
    # Without a buffer of its own, so that the refusal comes inside and not when the file is closed.
    with path.open("wb", buffering=0) as file:
        watched = _Watched(file)
        try:
            torch.save(state, watched)  # type: ignore[arg-type]
        except RuntimeError as error:
            raise watched.refused or error from error
