"""Write a dictionary of any readable format in this package's own layout: `python -m facet_worker.convert_dictionary FROM TO`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from facet_worker.dictionary_files import load_dictionary, save_dictionary
from facet_worker.errors import FacetError


def main(argv: list[str] | None = None) -> int:
    """Answers 0, or 2 with a sentence where the dictionary cannot be read; nothing is written then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="a folder, or sae-lens:<release>/<id>")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    try:
        sae = load_dictionary(args.source)
    except FacetError as error:
        print(f"{error} {error.fix}", file=sys.stderr)
        return 2
    sha256 = save_dictionary(sae, args.folder)
    print(f"{args.folder}: {sae.num_latents} × {sae.width}, {sae.activation}, hook {sae.hook}, SHA-256 {sha256}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
