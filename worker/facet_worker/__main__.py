"""`facet-worker`, also `python -m facet_worker`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from facet_worker.errors import FacetError
from facet_worker.pipeline import command as pipeline
from facet_worker.serve import command


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 when told to stop, 2 for what keeps it from starting, 70 for a device that is broken."""
    parser = argparse.ArgumentParser(
        prog="facet-worker", description="Serves a multimodal model whose features can be clamped, and makes its catalogue."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command.add_arguments(commands.add_parser("serve", help="answer the engine protocol over HTTP"))
    pipeline.add_commands(commands)
    options = parser.parse_args(arguments)
    try:
        if options.command == "serve":
            command.serve(options)
        else:
            pipeline.run(options)
    except FacetError as error:
        print(f"facet-worker: {error}\n{error.fix}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
