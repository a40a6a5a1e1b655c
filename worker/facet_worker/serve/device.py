"""The device that the model is on: whether it still computes, and how much memory it has."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path

import torch

from facet_worker.errors import FacetError


class DeviceBroken(RuntimeError):
    """The device computes no more, or wrongly; only a new process can use it."""


def check_device(device: torch.device) -> None:
    """A small product on the device, read back and compared. Throws `DeviceBroken`."""
    try:
        a = torch.arange(64, dtype=torch.float32, device=device).reshape(8, 8)
        found = float((a @ a).sum().item())
    except torch.OutOfMemoryError:
        return  # full, which passes, and not broken
    except RuntimeError as error:
        raise DeviceBroken(str(error).splitlines()[0]) from error
    if found != 529_536.0:
        raise DeviceBroken(f"A product that is 529,536 came out as {found:g}.")


def _cgroup_room() -> int | None:
    """Bytes that the container's own limit leaves; None without one."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    # Cached files are given up when memory is wanted.
    return int(limit) - used + int(stat.get("inactive_file", 0))


def _available() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return 1 << 62  # no such file outside Linux, and no limit then
    room = _cgroup_room()
    return free if room is None else min(free, room)


def free_memory(device: torch.device) -> int:
    """Bytes that a run could take now."""
    if device.type != "cuda":
        return _available()
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def memory_use(device: torch.device) -> Mapping[str, int]:
    """For the metrics, in bytes: `free`; `allocated` and `reserved` by PyTorch on a GPU, else `resident`, the process's."""
    if device.type == "cuda":
        held = {"allocated": torch.cuda.memory_allocated(device), "reserved": torch.cuda.memory_reserved(device)}
        return {"free": free_memory(device), **held}
    try:
        resident = next(
            int(line.split()[1]) << 10 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:")
        )
    except (OSError, StopIteration):
        return {"free": free_memory(device)}
    return {"free": free_memory(device), "resident": resident}


def is_out_of_memory(error: BaseException) -> bool:
    """PyTorch says it by a class of its own on a GPU, and by a sentence where the processor's memory is out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = ("can't allocate memory", "CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)


def out_of_memory() -> FacetError:
    return FacetError("The run needed more memory than this worker had left.", "engine_out_of_memory")


def release_memory(device: torch.device) -> None:
    """Gives back what a failed run held; call it when its exception, whose frames hold tensors, is gone."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
