"""`facet-worker cache | … | run`: a pipeline's steps, each by itself or all that its file names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facet_worker.errors import FacetError
from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.pipeline.settings import read_settings
from facet_worker.pipeline.steps import HELP, MODULES, NEEDS, Context, run_step, sections
from facet_worker.pipeline.troubles import Troubles

RETRIES = ("explain", "score", "run")
"""Commands by which failures are tried again on request."""

CAUSES_TOLD = 20


def add_commands(commands: Any) -> None:
    """Subcommands into an argparse `add_subparsers()`."""
    for name in MODULES:
        _parser(commands, name, HELP[name], f"Needs {NEEDS[name]}.", f" What it makes lies in the run folder, under {name}/.")
    every = "do every step that the pipeline's file has a section of, in order"
    _parser(commands, "run", every, "What is done already is not done again. worker/examples/pipeline.toml is a whole file to begin with.")


def _parser(commands: Any, name: str, does: str, more: str, end: str = "") -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=does,
        description=f"{does[0].upper()}{does[1:]}. {more}",
        epilog=f"Stopped in any way, the same command goes on where it was.{end}",
    )
    parser.add_argument("pipeline", type=Path, help="the pipeline's TOML file; docs/pipeline.md lists its settings")
    if name in RETRIES:
        parser.add_argument(
            "--retry-failed", action="store_true", help="explanations and scores that failed are asked for and measured again"
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _told(name: str, manifest: dict[str, Any], anew: bool) -> None:
    _say(f"{name}: {'done' if anew else 'was done already'}, {manifest['seconds_in_shards'] or manifest['seconds']:,.1f} s of work")
    lines = Troubles.of_json(manifest["troubles"]).lines()
    for line in lines[:CAUSES_TOLD]:
        _say(f"  {line}")
    if len(lines) > CAUSES_TOLD:
        _say(f"  {len(lines) - CAUSES_TOLD:,} further causes are in {name}/manifest.json.")
    for line in _found(manifest["report"]):
        _say(f"  {line}")


def _found(report: Mapping[str, Any]) -> list[str]:
    """A report for people: its own numbers one a line, and of each dictionary one line with all of its numbers."""

    def shown(value: Any) -> str:
        return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)

    def flat(part: Mapping[str, Any], at: str = "") -> list[str]:
        found = []
        for name, value in part.items():
            if isinstance(value, Mapping):
                found += flat(value, at if name in ("methods", "metrics") else f"{at}{name} ")
            elif value is not None and not isinstance(value, list):
                found.append(f"{at}{name} {shown(value)}")
        return found

    return [
        f"{name}: {', '.join(flat(value)) or 'nothing'}" if isinstance(value, Mapping) else f"{name}: {shown(value)}"
        for name, value in report.items()
        if value is not None and not isinstance(value, list)
    ]


def run(options: argparse.Namespace) -> None:
    """Does what the command says. Throws `FacetError`; whatever is done until then stays, and the same command goes on there."""
    settings = read_settings(options.pipeline, sections())
    names = [name for name in MODULES if name in settings.sections] if options.command == "run" else [options.command]
    if not names:
        raise FacetError(
            f"{options.pipeline.name} has no step's section.",
            "invalid_request",
            fix=f"Add one of {', '.join(f'[{name}]' for name in MODULES)}.",
        )
    with RunFolder.open(settings.run_folder) as folder:
        for name in names:
            before = _finished(folder, name)
            _told(name, run_step(name, Context(settings, folder, getattr(options, "retry_failed", False))), before is None)


def _finished(folder: RunFolder, name: str) -> dict[str, Any] | None:
    try:
        return folder.made(name).manifest
    except FacetError:
        return None
