"""`facet-worker cache | … | run`: a pipeline's steps, each by itself or all that its file names."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from facet_worker.errors import FacetError
from facet_worker.pipeline.run_folder import RunFolder
from facet_worker.pipeline.settings import read_settings
from facet_worker.pipeline.steps import HELP, MODULES, Context, run_step, sections
from facet_worker.pipeline.troubles import Troubles

RETRIES = ("explain", "score")
"""Steps whose failures can be tried again on request."""

CAUSES_TOLD = 20


def add_commands(commands: Any) -> None:
    """Subcommands into an argparse `add_subparsers()`."""
    for name in MODULES:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=HELP[name])
        parser.add_argument("pipeline", type=Path, help="the pipeline's TOML file; docs/pipeline.md lists its settings")
        if name in RETRIES:
            parser.add_argument("--retry-failed", action="store_true", help="ask and measure again what failed before")
    parser = commands.add_parser("run", help="every step that the pipeline's file has a section of, in order")
    parser.add_argument("pipeline", type=Path)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _told(name: str, manifest: dict[str, Any], anew: bool) -> None:
    _say(f"{name}: {'done' if anew else 'was done already'}, {manifest['seconds_in_shards'] or manifest['seconds']:,.1f} s of work")
    lines = Troubles.of_json(manifest["troubles"]).lines()
    for line in lines[:CAUSES_TOLD]:
        _say(f"  {line}")
    if len(lines) > CAUSES_TOLD:
        _say(f"  {len(lines) - CAUSES_TOLD:,} further causes are in {name}/manifest.json.")
    for key, value in manifest["report"].items():
        if not isinstance(value, (dict, list)):
            _say(f"  {key}: {value:,}" if isinstance(value, int) else f"  {key}: {value}")


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
