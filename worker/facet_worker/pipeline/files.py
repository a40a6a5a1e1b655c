"""Files that are there whole or not at all: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from facet_worker.errors import FacetError

PART = ".part"
_RUST = re.compile(r"\(os error (\d+)\)")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _number(error: OSError | SafetensorError) -> int | None:
    """What the system said; 0 where an `OSError` does not tell it, None where safetensors speaks of something else."""
    if isinstance(error, OSError):
        return error.errno or 0
    found = _RUST.search(str(error))
    return int(found[1]) if found else None


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns a disk that takes no more into `disk_full`, other refusals of the file system into `file_invalid`; those that safetensors met, too."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = _number(error)
        if number is None:
            raise
        if number in _FULL:
            raise FacetError(
                f"The disk has no room for {path.name}.",
                "disk_full",
                fix="Free some space and run the same command again: it goes on where it stopped.",
            ) from error
        raise FacetError(
            f"{path} cannot be written: {os.strerror(number) if number else error}.", "file_invalid", fix="Check the path and its rights."
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A path to write to in the place of `path`, which gets its name when the block ends well; nothing is left of it when it does not.

    Raises
    ------
    FacetError : `disk_full`, or `file_invalid` where the folder refuses.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            _sync(part)
            part.replace(path)
            _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """See `written`."""
    with written(path) as part:
        part.write_bytes(data)


def write_json(path: Path, content: Any) -> None:
    """See `written`. NaN is refused: no other reader takes it."""
    write_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Throws `file_invalid` for what is no JSON; a file that is not there is the caller's to expect (FileNotFoundError)."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise FacetError(
            f"{path.name} in {path.parent} cannot be read: {error}.", "file_invalid", fix="Remove that file or its folder."
        ) from error


def sweep(folder: Path) -> int:
    """Removes what killed processes left half-written; answers how many. For the holder of the folder's lock only."""
    left = list(folder.rglob(f".*{PART}"))
    for path in left:
        if path.is_dir():
            # A bundle is a folder until it is whole.
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(left)
