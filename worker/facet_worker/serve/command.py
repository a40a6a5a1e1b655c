"""`facet-worker serve`."""

from __future__ import annotations

import argparse
import logging
import os
import re
from dataclasses import replace
from pathlib import Path

from facet_worker.errors import FacetError
from facet_worker.serve.cluster.loopback import stay_on_this_machine
from facet_worker.serve.settings import MIB, Settings

_COMMIT = re.compile(r"[0-9a-f]{40}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    usual = Settings()
    add = parser.add_argument
    add("--model", required=True, metavar="PATH|ID@REVISION", help="a folder, or a hub id pinned to a commit's hash; safetensors only")
    add(
        "--dictionary",
        required=True,
        action="append",
        metavar="[HOOK=]PATH",
        help="a dictionary's folder; its name is its hook (model.layers.24) unless one is given. May be repeated",
    )
    add("--model-id", help="the model's key in the catalogue (default: the folder's name, or the hub id's last part)")
    add("--host", default="127.0.0.1", help="address to listen on; one that others can reach needs a token (%(default)s)")
    add("--port", type=int, default=8321, help="0 takes a free one (%(default)s)")
    add("--token-file", type=Path, help="a file with the token that clients must show; else FACET_WORKER_TOKEN, else none")
    add("--queue", type=int, default=usual.queue, help="how many requests may wait (%(default)s)")
    add("--concurrency", type=int, help="how many requests run at once, as one batch (default: 8 on a GPU, else 1)")
    add("--device", default="", help="cpu, cuda, cuda:1 … (default: cuda where there is one)")
    add("--dtype", choices=["float32", "bfloat16", "float16"], help="of the model's arithmetic (default: bfloat16 on a GPU, else float32)")
    add("--max-positions", type=int, help="prompt and answer together, in tokens, where that is less than the model's own limit")
    add("--memory-mib", type=int, help="what one run may take (default: what is free once the model is loaded)")
    add("--request-mib", type=int, default=usual.request_bytes // MIB, help="of a request's body (%(default)s)")
    add("--image-megapixels", type=float, default=usual.image_pixels / 1e6, help="of a request's images together (%(default)s)")
    add("--grace", type=float, default=usual.grace_seconds, help="seconds for which answers may go on after SIGTERM (%(default)s)")
    add("--replicas", type=int, help="serve this many copies of the model by Ray Serve, behind one address (default: one, without Ray)")
    add("--cpus", type=float, help="with --replicas: cores for each (1)")
    add("--gpus", type=float, help="with --replicas: GPUs for each (1 where there is one and --device is not cpu, else 0)")
    add(
        "--unchecked-dictionary",
        action="store_true",
        help="serve a dictionary even if it does not give back the model's states at its hook",
    )
    add("--compile", action="store_true", help="compile the decoder's blocks with torch.compile; the first requests then take longer")
    add("--taps", action="store_true", help="show hidden states and logits, and take answers to write: for tests and measurements only")


def read_token(file: Path | None) -> str | None:
    """From the file, else from the environment. Throws `invalid_request` for an empty one: nobody means that."""
    if file is not None:
        try:
            token, place = file.read_text("utf-8").strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise FacetError(f"The token's file {file} cannot be read.", "invalid_request", fix="Check its path and rights.") from error
    elif "FACET_WORKER_TOKEN" in os.environ:
        token, place = os.environ["FACET_WORKER_TOKEN"].strip(), "FACET_WORKER_TOKEN"
    else:
        return None
    if not token or not token.isascii() or not token.isprintable():
        raise FacetError(f"{place} holds no token of printable ASCII characters.", "invalid_request", fix="Write one there, or unset it.")
    return token


def model_of(named: str) -> tuple[str, str | None]:
    """A folder, or a hub id and its revision. Throws `not_found` and `invalid_request`."""
    if Path(named).is_dir():
        return named, None
    name, at, revision = named.rpartition("@")
    if not at:
        if named.count("/") == 1 and not named.startswith((".", "/", "~")):
            raise FacetError(
                f"{named} is no folder, and a hub's model needs a revision.", "invalid_request", fix=f"Pin it: {named}@<a commit's hash>."
            )
        raise FacetError(f"There is no folder {named}.", "not_found", fix="Check the path.")
    if not _COMMIT.fullmatch(revision):
        raise FacetError(
            f"{revision!r} is no commit's hash, and what a branch or tag names can change.",
            "invalid_request",
            fix=f"Pin {name} to the 40 hexadecimal digits of a commit.",
        )
    return name, revision


def dictionaries_of(named: list[str]) -> dict[str, Path | str]:
    """Folders, or what SAELens publishes as `sae-lens:<release>/<id>`, by their hook. Throws `not_found`, and `invalid_request` where two have one hook."""
    found: dict[str, Path | str] = {}
    for entry in named:
        hook, at, path = entry.partition("=") if not Path(entry).is_dir() else ("", "", entry)
        folder: Path | str = Path(path if at else entry)
        if at and path.startswith("sae-lens:"):
            folder = path
        elif not Path(folder).is_dir():
            raise FacetError(f"There is no dictionary's folder {folder}.", "not_found", fix="Check the path.")
        hook = hook or Path(folder).resolve().name
        if hook in found:
            raise FacetError(f"Two dictionaries are for {hook}.", "invalid_request", fix="Give each a hook of its own: HOOK=PATH.")
        found[hook] = folder
    return found


def serve(options: argparse.Namespace) -> None:
    """Loads, binds, says one line when ready, and serves until told to stop. Throws `FacetError` for whatever keeps it from starting."""
    token = read_token(options.token_file)
    model, revision = model_of(options.model)
    folders = dictionaries_of(options.dictionary)
    for name in ("queue", "concurrency", "max_positions", "memory_mib", "request_mib", "image_megapixels", "grace"):
        value = getattr(options, name)
        if value is not None and value < (0 if name in ("queue", "grace") else 1e-6):
            raise FacetError(f"--{name.replace('_', '-')} is {value}, which is too little.", "invalid_request", fix="Give more.")
    settings = Settings(
        token=token,
        taps=options.taps,
        queue=options.queue,
        request_bytes=options.request_mib * MIB,
        image_pixels=int(options.image_megapixels * 1e6),
        max_positions=options.max_positions,
        memory_bytes=None if options.memory_mib is None else options.memory_mib * MIB,
        grace_seconds=options.grace,
    )
    if options.replicas is not None:
        return _serve_replicas(options)
    if options.cpus is not None or options.gpus is not None:
        raise FacetError("--cpus and --gpus are for replicas.", "invalid_request", fix="Give --replicas too, or leave them out.")
    # PyTorch takes seconds to load: what is wrong with the options is said before.
    from facet_worker.serve.server import address_of, bind, run

    listening = bind(options.host, options.port, token)
    import torch

    from facet_worker.compiling import check_compiler
    from facet_worker.serve.host import EngineHost
    from facet_worker.torch_engine import TorchEngine

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = options.dtype or ("bfloat16" if device.startswith("cuda") else "float32")
    concurrency = options.concurrency or (8 if device.startswith("cuda") else 1)
    if options.compile:
        check_compiler(device)
    compiler = "inductor" if options.compile else None
    engine = TorchEngine.load(model, folders, revision, device, dtype, options.model_id, options.unchecked_dictionary, compiler)
    host = EngineHost(engine, replace(settings, concurrency=concurrency))

    def ready() -> None:
        print(f"facet-worker is ready at {address_of(listening)} with {', '.join(engine.dictionaries())} ({device}, {dtype})", flush=True)

    run(host, listening, ready)


def _serve_replicas(options: argparse.Namespace) -> None:
    stay_on_this_machine()
    try:
        from facet_worker.serve.ray_app import serve_replicas
    except ImportError as error:
        raise FacetError(
            "Replicas need Ray, which is not installed.", "not_found", fix='Install it: pip install "facet-worker[ray]".'
        ) from error
    from facet_worker.serve.cluster.options import GroupOptions

    if options.gpus is None:
        import torch

        # Ray shows a replica the GPUs that it reserved, and no others.
        options.gpus = float(options.device.startswith("cuda") or (not options.device and torch.cuda.is_available()))
    group = GroupOptions.of_command(options)

    def ready(address: str, dictionaries: list[str]) -> None:
        print(f"facet-worker is ready at {address} with {', '.join(dictionaries)} ({group.replicas} replicas)", flush=True)

    serve_replicas(group, options.host, options.port, ready)
