"""`facet-worker`, also `python -m facet_worker`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from facet_worker.errors import FacetError
from facet_worker.serve import command


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 when told to stop, 2 for what keeps it from starting, 70 for a device that is broken."""
    parser = argparse.ArgumentParser(prog="facet-worker", description="Serves a multimodal model whose features can be clamped.")
    commands = parser.add_subparsers(dest="command", required=True)
    command.add_arguments(commands.add_parser("serve", help="answer the engine protocol over HTTP"))
    options = parser.parse_args(arguments)
    try:
        command.serve(options)
    except FacetError as error:
        print(f"facet-worker: {error}\n{error.fix}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
