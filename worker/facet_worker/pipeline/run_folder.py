"""The run folder: one folder a step, with a manifest of what it was made from, and shards that survive the end of the process at any moment.

    run/
      .lock                    held by the one process that works here
      cache/
        manifest.json          configuration, inputs by hash, versions, seed, wall time, troubles
        shards/00003.json      a shard's record, written after its files: it names them with their SHA-256
        shards/00003.*         the shard's files

A shard counts from the moment its record is there. A killed process leaves at most a half-written file without a name, which the next one removes.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from facet_worker.errors import FacetError
from facet_worker.hashing import file_sha256
from facet_worker.pipeline.files import disk_errors, read_json, sweep, write_json, written
from facet_worker.pipeline.troubles import Troubles

FORMAT = "facet-run/1"
MANIFEST = "manifest.json"
CORRUPT = "A shard's files are not those that its record names, so it was made again"
_LIBRARIES = ("torch", "transformers", "numpy", "safetensors", "pyarrow", "pillow")
Json = Mapping[str, Any]
Writer = Callable[[Path], object]


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("facet-worker", *_LIBRARIES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {key: one for name, part in value.items() for key, one in _flat(part, f"{at}.{name}" if at else str(name)).items()}
    if isinstance(value, (list, tuple)) and any(isinstance(part, Mapping) for part in value):
        return {key: one for number, part in enumerate(value) for key, one in _flat(part, f"{at}[{number}]").items()}
    return {at: list(value) if isinstance(value, tuple) else value}


def differences(made: Json, asked: Json) -> list[str]:
    """What two configurations differ in, one phrase a setting."""
    before, now = _flat(made), _flat(asked)

    def shown(values: Mapping[str, Any], key: str) -> str:
        value = values.get(key, "not set")
        return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)

    return [f"{key} was {shown(before, key)} and is {shown(now, key)}" for key in {**before, **now} if before.get(key) != now.get(key)]


def _but(of: Json, renewed: Collection[str]) -> Json:
    """Without those inputs."""
    return {**of, "inputs": {name: digest for name, digest in of["inputs"].items() if name not in renewed}}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class Step:
    """One step's part of a run folder. Made by `RunFolder.step`."""

    def __init__(self, folder: Path, name: str, manifest: dict[str, Any]) -> None:
        self.folder, self.name, self.manifest = folder, name, manifest
        self.troubles = Troubles()
        self._begun = time.monotonic()
        self._made: dict[int, Json] = {}
        self._damaged: set[int] = set()

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return "finished" in self.manifest

    @property
    def report(self) -> dict[str, Any]:
        """What the step said at its end. Throws `not_found` before that."""
        if not self.finished:
            raise FacetError(
                f"The step {self.name} in {self.folder.parent} is not finished.", "not_found", fix=f"Run `facet-worker {self.name}` first."
            )
        return dict(self.manifest["report"])

    def shard_file(self, number: int, ending: str) -> Path:
        """Where a shard's file lies, e.g. `shards/00003.jsonl`."""
        return self.folder / "shards" / f"{number:05}.{ending}"

    def shards(self, total: int) -> dict[int, Json]:
        """Records of the shards that are done and whole, of those numbered from 0 to `total` − 1; what is damaged is removed and counted."""
        whole: dict[int, Json] = {}
        for number in range(total):
            try:
                record = read_json(self.shard_file(number, "json"))
                whole_files = all(file_sha256(self.folder / "shards" / name) == digest for name, digest in record["files"].items())
            except FileNotFoundError:
                if not self.shard_file(number, "json").is_file():
                    continue
                whole_files = False
            except (FacetError, KeyError, AttributeError, TypeError, OSError):
                whole_files = False
            if whole_files:
                whole[number] = record
            else:
                self._damaged.add(number)
                self.shard_file(number, "json").unlink(missing_ok=True)
        self._made = dict(whole)
        return whole

    def save_shard(
        self, number: int, files: Mapping[str, Writer], *, seconds: float, troubles: Troubles | None = None, facts: Json | None = None
    ) -> Json:
        """Writes a shard: its files first, then the record that makes it count. Answers the record.

        Parameters
        ----------
        files : by ending (`safetensors`, `jsonl`), what writes the file to a path
        seconds : wall time that the shard took; an interrupted run's total is the sum over its shards
        troubles : of this shard's inputs
        facts : anything else that the record should say, as JSON
        """
        if troubles is None:
            troubles = Troubles()
        if number in self._damaged:
            troubles.add(CORRUPT, f"{self.name}/shards/{number:05}")
        hashes = {}
        for ending, write in files.items():
            path = self.shard_file(number, ending)
            with written(path) as part:
                write(part)
            hashes[path.name] = file_sha256(path)
        record = {
            "shard": number, "files": hashes, "seconds": round(seconds, 3), "troubles": troubles.to_json(), "facts": dict(facts or {}),
        }  # fmt: skip
        write_json(self.shard_file(number, "json"), record)
        self._made[number] = record
        return record

    def run_shards(self, total: int, make: Callable[[int], Json], progress: Callable[[int, int], None] | None = None) -> list[Json]:
        """Makes every shard that is missing, in order, by `make`, which calls `save_shard` and answers its record; answers all records in order.

        Parameters
        ----------
        progress : told how many shards are done, and of how many, after each
        """
        done = self.shards(total)
        for number in range(total):
            if number not in done:
                done[number] = make(number)
            if progress:
                progress(number + 1, total)
        return [done[number] for number in range(total)]

    def finish(self, report: Json | None = None, files: Sequence[Path] = (), tick: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """Writes the end into the manifest: report, files by hash, troubles of all shards, wall time. Answers the manifest.

        Parameters
        ----------
        report : what the step found, as JSON
        files : what the step made beside its shards; tick : called for each, once it is read
        """
        total, seconds = Troubles(), time.monotonic() - self._begun
        total.take(self.troubles)
        for record in self._made.values():
            total.take(Troubles.of_json(record["troubles"]))
        worked = sum(float(record["seconds"]) for record in self._made.values())
        hashes: dict[str, str] = {}
        for path in files:
            hashes[path.relative_to(self.folder).as_posix()] = file_sha256(path)
            tick()
        if self.finished and (hashes, total.to_json()) == (self.manifest["files"], self.manifest["troubles"]):
            # Nothing came of it that was not there: the manifest keeps telling of the run that made it.
            return self.manifest
        self.manifest |= {
            "finished": _now(), "seconds": round(seconds, 3), "seconds_in_shards": round(worked, 3), "shards": len(self._made), "files": hashes,
            "troubles": total.to_json(), "report": dict(report or {}),
        }  # fmt: skip
        write_json(self.folder / MANIFEST, self.manifest)
        self.troubles = total
        return self.manifest


class RunFolder:
    """A run folder that this process holds. Use `RunFolder.open`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[RunFolder]:
        """Takes the folder, which is made where it is not there, for as long as the block lasts. The lock goes with the process, however it ends.

        Raises
        ------
        FacetError : `engine_busy` when another process works there; `disk_full`, `file_invalid`.
        """
        with disk_errors(folder / ".lock"):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise FacetError(
                    f"Another process is working in the run folder {folder}{_holder(folder)}.",
                    "engine_busy",
                    fix="Wait until it has ended, or give this run another folder.",
                ) from None
        try:
            # Removing what was left comes first: it may be what fills the disk.
            sweep(folder)
            with disk_errors(folder / ".holder"):
                (folder / ".holder").write_text(f"{os.getpid()}\n")
            yield cls(folder)
        finally:
            (folder / ".holder").unlink(missing_ok=True)
            lock.release()

    def step(self, name: str, configuration: Json, inputs: Json, seed: int = 0, *, renewed: Collection[str] = ()) -> Step:
        """Begins a step, or goes on with it.

        Parameters
        ----------
        configuration : every setting that the result depends on; leave out where things lie and which device works
        inputs : SHA-256 of everything that is read, by name
        renewed : names of inputs that may be others than they were, because the step knows by itself what of its work they undo; what is there stays, and
            its manifest too, until the step is finished

        Raises
        ------
        FacetError : `invalid_request` when the step was made with another configuration or from other inputs; the message names what differs.
        """
        folder = self.folder / name
        asked = {"configuration": dict(configuration), "inputs": dict(inputs), "seed": seed}
        try:
            made = read_json(folder / MANIFEST)
        except FileNotFoundError:
            manifest = {"format": FORMAT, "step": name, **asked, "versions": versions(), "begun": _now()}
            write_json(folder / MANIFEST, manifest)
            return Step(folder, name, manifest)
        if made.get("format") != FORMAT:
            raise FacetError(
                f"{folder / MANIFEST} is of the format {made.get('format')!r}; this is {FORMAT!r}.",
                "file_invalid",
                fix="Give another run folder.",
            )
        before = {key: made[key] for key in asked}
        changed = differences(before, asked)
        if changed and not differences(_but(before, renewed), _but(asked, renewed)):
            return Step(folder, name, {"format": FORMAT, "step": name, **asked, "versions": versions(), "begun": _now()})
        if changed:
            raise FacetError(
                f"The run folder {self.folder} has a {name} that was made otherwise: {'; '.join(_short(changed))}.",
                "invalid_request",
                fix=f"Set it back, give this run another folder, or remove {folder} to make it anew.",
            )
        return Step(folder, name, made)

    def made(self, name: str) -> Step:
        """A step that is finished, for those that build on it. Throws `not_found`."""
        try:
            step = Step(self.folder / name, name, read_json(self.folder / name / MANIFEST))
        except FileNotFoundError:
            raise FacetError(
                f"The run folder {self.folder} has no {name} yet.", "not_found", fix=f"Run `facet-worker {name}` first."
            ) from None
        if not step.finished:
            raise FacetError(f"The step {name} in {self.folder} is not finished.", "not_found", fix=f"Run `facet-worker {name}` first.")
        return step

    def fingerprint(self, name: str) -> str:
        """SHA-256 of what a finished step made, as an input of the steps after it. Throws `not_found`."""
        files = self.made(name).manifest["files"]
        return hashlib.sha256("".join(f"{digest}  {path}\n" for path, digest in sorted(files.items())).encode()).hexdigest()


def _holder(folder: Path) -> str:
    try:
        return f" (process {int((folder / '.holder').read_text())})"
    except (OSError, ValueError):
        return ""


def _short(phrases: Sequence[str], most: int = 8) -> list[str]:
    return list(phrases) if len(phrases) <= most else [*phrases[:most], f"and {len(phrases) - most} more"]
