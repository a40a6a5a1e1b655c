"""The engine over PyTorch: any dictionary at any decoder block of a Hugging Face image-text-to-text model."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor

from facet_worker.arms import ArmRun, ArmSetting, active_features
from facet_worker.clamping import Variant
from facet_worker.decoder import layer_of
from facet_worker.dictionaries import Dictionary
from facet_worker.dictionary_files import load_dictionary
from facet_worker.engine import Pixels, Tap
from facet_worker.errors import FacetError
from facet_worker.hooked_model import HookedModel, joined_cache
from facet_worker.planning import ClampPlan, plan_clamps, sweep_points
from facet_worker.prompting import Prompt, Prompter, image_hashes
from facet_worker.reconstruction import Reconstruction, measure, probe_messages, probe_picture, refusal
from facet_worker.sae import file_sha256
from facet_worker.sampling import draw_substitutes

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Served:
    """A dictionary at its hook."""

    id: str
    hook: str
    sae: Dictionary
    block: nn.Module
    reconstruction: Reconstruction | None = None


def weights_sha256(folder: Path) -> str:
    """SHA-256 of a checkpoint's safetensors: of the file where it is one, else of the list of its files' hashes. Throws `file_invalid`."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FacetError(f"The folder {folder.name!r} holds no safetensors; no other weights are loaded.", "file_invalid")
    if len(files) == 1:
        return file_sha256(files[0])
    return hashlib.sha256("".join(f"{file_sha256(file)}  {file.name}\n" for file in files).encode()).hexdigest()


class TorchEngine:
    """See `facet_worker.engine.Engine`. Clamps are float32; the model's arithmetic has its own dtype."""

    def __init__(
        self, model: Any, processor: Any, dictionaries: Mapping[str, Dictionary], model_id: str, sha256: str, name: str | None = None
    ) -> None:
        """`dictionaries` by the name of their hook, which is their id as well. Throws `engine_unavailable` where a hook does not act."""
        if not dictionaries:
            raise FacetError("No dictionary was given, so there is nothing to steer by.", "engine_unavailable")
        self.hooked = HookedModel(model.eval().requires_grad_(False))
        self.prompter = Prompter(processor, model.config, self.hooked.accepted)
        self.model_id, self.sha256, self.name = model_id, sha256, name or model_id
        self.served: dict[str, Served] = {}
        for hook, sae in dictionaries.items():
            block = self.hooked.probe(hook, sae.width)
            self.served[f"{model_id}/{hook}"] = Served(hook, hook, sae.to(self.hooked.device, sae.w_dec.dtype), block)
        ends = model.generation_config.eos_token_id
        ends = [processor.tokenizer.eos_token_id] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        self.ends = frozenset(ends)
        self.base_grid: tuple[int, int] | None = None

    @classmethod
    def load(
        cls,
        model: str | Path,
        dictionaries: Sequence[Path | str] | Mapping[str, Path | str],
        revision: str | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        model_id: str | None = None,
        unchecked_dictionary: bool = False,
    ) -> TorchEngine:
        """Load a model and its dictionaries; safetensors only, and no code from a hub is run.

        Parameters
        ----------
        model : a folder, or a hub id together with the `revision` to pin it to
        dictionaries : folders, or `sae-lens:<release>/<id>`, by hook; without hooks where their files or folder say it
        unchecked_dictionary : serve one that does not reconstruct the model's states all the same

        Raises
        ------
        FacetError : `engine_unavailable` where a dictionary reconstructs the hook's states worse than their mean would, and what reading files throws.
        """
        folder = Path(model)
        if not folder.is_dir():
            if revision is None:
                raise FacetError(
                    f"The hub's model {model} was named without a revision.", "invalid_request", fix="Pin it to a commit's hash."
                )
            from huggingface_hub import snapshot_download

            folder = Path(snapshot_download(str(model), revision=revision, ignore_patterns=["*.bin", "*.pt", "*.pth", "*.py", "*.gguf"]))
        sha256 = weights_sha256(folder)
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=_DTYPES[dtype], use_safetensors=True, trust_remote_code=False
        )
        # Pictures go through PIL, as in the app; a processor of videos, which some families bring along, has no such backend.
        processor: Any = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
        saes: dict[str, Dictionary] = {}
        for named in dictionaries.items() if isinstance(dictionaries, Mapping) else ((None, source) for source in dictionaries):
            sae = load_dictionary(named[1]).to(device, _DTYPES[dtype])
            hook = f"model.layers.{layer_of(named[0] or sae.hook or Path(named[1]).name)}"
            if hook in saes:
                raise FacetError(f"Two dictionaries are for {hook}; a hook takes one.", "invalid_request", fix="Serve one of them.")
            saes[hook] = sae
        default_id = re.sub(r"[^\w.-]", "-", str(model).rstrip("/").split("/")[-1])
        engine = cls(loaded.to(device), processor, saes, model_id or default_id, sha256)
        engine.check_dictionaries(unchecked_dictionary)
        return engine

    def check_dictionaries(self, unchecked: bool = False) -> None:
        """Measures on the built-in probe how well each dictionary gives back its hook's states; `info` tells the numbers.

        Raises
        ------
        FacetError : `engine_unavailable` for one that is worse than the mean, unless `unchecked`.
        """
        prompt = self.prompter.assemble(probe_messages(), [probe_picture(self._image_size())], 1)
        for served in self.served.values():
            seen: list[Tensor] = []

            def look(hidden: Tensor, seen: list[Tensor] = seen) -> Tensor:
                seen.append(hidden[0])
                return hidden

            self.hooked.prefill(prompt.inputs, served.block, look)
            with torch.inference_mode():
                served.reconstruction = measure(served.sae, seen[0], prompt.layout.image)
            if served.reconstruction.fails and not unchecked:
                raise refusal(served.hook, served.reconstruction)

    def _image_size(self) -> int:
        return int(getattr(self.prompter.config.vision_config, "image_size", 0) or 448)

    def dictionaries(self) -> list[str]:
        """References of what is served."""
        return list(self.served)

    def _find(self, ref: str | None, version: str | None = None) -> Served:
        served = self.served.get(ref or next(iter(self.served)))
        if served is None:
            raise FacetError(f"This engine serves {', '.join(self.served)}, not {ref}.", "dictionary_not_found")
        if version and not served.sae.sha256.startswith(version):
            raise FacetError(
                f"The request is for version {version} of {ref}; this engine has {served.sae.sha256[:12]}.", "version_mismatch"
            )
        return served

    def _identity(self) -> dict[str, str]:
        return {"name": "torch", "version": str(torch.__version__), "dtype": str(self.hooked.dtype).removeprefix("torch.")}

    def info(self, dictionary: str | None = None) -> dict[str, Any]:
        """`EngineInfo`; the grid is the one that a square picture has."""
        served = self._find(dictionary)
        size = self._image_size()
        if self.base_grid is None:
            import numpy as np

            grid = self.prompter.of_image(np.zeros((size, size, 3), np.uint8)).layout.images[0]
            self.base_grid = (grid.rows, grid.cols)
        rows, cols = self.base_grid
        sae = served.sae
        return {
            **self._identity(),
            "model": {
                "id": self.model_id,
                "name": self.name,
                "sha256": self.sha256,
                "imageSize": size,
                "grid": {"rows": rows, "cols": cols},
            },
            "dictionary": {
                "ref": f"{self.model_id}/{served.id}",
                "id": served.id,
                "hook": served.hook,
                "layer": layer_of(served.hook),
                "sha256": sae.sha256,
                "numLatents": sae.num_latents,
                "width": sae.width,
                "k": sae.k or 0,
                "activation": sae.activation,
                "reconstruction": served.reconstruction and served.reconstruction.to_json(),
            },
            "maxPositions": self.prompter.room,
            "modes": ["delta", "reconstruct"],
        }

    def features(self, request: dict[str, Any], images: Sequence[Pixels], cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Which features fire on one image, cell by cell of its base grid."""
        served = self._find(request["dictionary"])
        prompt = self.prompter.of_image(images[0])
        if cancelled():
            raise FacetError("The request was cancelled before it began.", "cancelled")
        seen: list[Tensor] = []

        def look(hidden: Tensor) -> Tensor:
            seen.append(hidden[0])
            return hidden

        self.hooked.prefill(prompt.inputs, served.block, look)
        grid = prompt.layout.images[0]
        with torch.inference_mode():
            indices, values = served.sae.encode(seen[0][torch.from_numpy(grid.cells).to(seen[0].device)])
        maps: dict[int, tuple[list[int], list[float]]] = {}
        for cell, (row, acts) in enumerate(zip(indices.tolist(), values.tolist(), strict=True)):
            for index, value in zip(row, acts, strict=True):
                if value > 0:
                    at, heights = maps.setdefault(index, ([], []))
                    at.append(cell)
                    heights.append(value)
        size = grid.rows * grid.cols
        listed = sorted(maps.items(), key=lambda item: (-sum(item[1][1]), item[0]))[: request["limit"]]
        features = [
            {"index": index, "mean": sum(heights) / size, "peak": max(heights), "map": {"positions": at, "values": heights}}
            for index, (at, heights) in listed
        ]
        return {"rows": grid.rows, "cols": grid.cols, "total": len(maps), "features": features}

    def _settings(self, request: dict[str, Any], prompt: Prompt, sae: Dictionary, units: Mapping[int, float]) -> list[ArmSetting]:
        mode, sampling = request["mode"], request["sampling"]

        def planned(clamps: Sequence[Mapping[str, Any]]) -> ClampPlan:
            return plan_clamps(clamps, prompt.layout, mode, sae.num_latents, sampling["maxTokens"], units)

        plan, none, reconstructs = planned(request["interventions"]), ClampPlan(prompt.layout), mode == "reconstruct"
        points = sweep_points(request)
        settings = []
        for arm in dict.fromkeys(["steered", *request["controls"]]):
            if arm == "baseline":
                settings.append(ArmSetting(arm, none, False))
            elif arm == "reconstruction":
                settings.append(ArmSetting(arm, none, True))
            elif arm == "random":
                drawn = draw_substitutes([clamp.feature for clamp in plan.clamps], sae.num_latents, units, sampling["seed"])
                settings.append(ArmSetting(arm, plan, reconstructs, Variant("random", tuple(drawn))))
            else:
                settings.append(ArmSetting(arm, plan, reconstructs, Variant("negated" if arm == "negated" else "asked")))
        return settings + [ArmSetting(arm, planned(clamps), reconstructs, Variant(), sweep) for arm, sweep, clamps in points]

    def generate(
        self,
        request: dict[str, Any],
        images: Sequence[Pixels],
        units: Mapping[int, float],
        cancelled: Callable[[], bool],
        tap: Tap | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Runs the arms and tells of them token by token; refuses at once what can be refused without running the model."""
        served = self._find(request["dictionary"], request.get("version"))
        prompt = self.prompter.assemble(request["messages"], images, request["sampling"]["maxTokens"])
        settings = self._settings(request, prompt, served.sae, units)
        watch = self.prompter.codec.watched(request.get("watch", []))
        runs = [ArmRun(s, request, served.sae, self.prompter.codec, self.ends, watch, tap or Tap()) for s in settings]
        return self._run(request, served, prompt, runs, watch, cancelled)

    def _run(
        self,
        request: dict[str, Any],
        served: Served,
        prompt: Prompt,
        runs: list[ArmRun],
        watch: list[dict[str, Any]],
        cancelled: Callable[[], bool],
    ) -> Iterator[dict[str, Any]]:
        in_image = int(prompt.layout.image.sum())
        told = {"text": prompt.text, "imageTokens": in_image, "textTokens": prompt.layout.length - in_image, "unknown": prompt.unknown}
        meta: dict[str, Any] = {"type": "meta", "arms": [run.arm for run in runs], "prompt": told, "engine": self._identity()}
        yield {**meta, "watch": watch} if "watch" in request else meta
        if cancelled():
            raise FacetError("The request was cancelled before it began.", "cancelled")
        frame = {
            "model": {"id": self.model_id, "sha256": self.sha256},
            "dictionary": {"id": served.id, "hook": served.hook, "sha256": served.sae.sha256},
            "prompt": {"text": prompt.text, "images": image_hashes(request["messages"])},
            "engine": self._identity(),
        }
        batch = Batch(self.hooked, served, prompt, request.get("activeFeatures") or 0)
        for run in runs:
            if cancelled():
                run.finish = "cancelled"
            else:
                batch.start(run)
        open_runs = list(runs)
        while open_runs:
            if cancelled():
                for run in open_runs:
                    run.finish = run.finish or "cancelled"
            else:
                yield from batch.step()
            baseline = next((run.first for run in runs if run.arm == "baseline"), None)
            for run in [run for run in open_runs if run.finish]:
                open_runs.remove(run)
                yield {"type": "receipt", "receipt": run.receipt(frame, baseline, 0.0)}
        yield {"type": "done"}


class Batch:
    """Arms of one run going through the model side by side: one pass writes a token of each."""

    def __init__(self, hooked: HookedModel, served: Served, prompt: Prompt, listed: int) -> None:
        self.hooked, self.served, self.prompt, self.listed = hooked, served, prompt, listed
        self.members: list[ArmRun] = []
        self.waiting: list[Any] = []
        self.cache: Any = None
        self.offset: Any = None

    def start(self, run: ArmRun) -> None:
        """The prompt's passage through the model for one arm, exactly as it would be alone."""
        start = time.perf_counter()
        logits, cache = self.hooked.prefill(self.prompt.inputs, self.served.block, lambda hidden: run.at_hook(hidden[0], True)[None])
        run.logits = logits[0].cpu().numpy()
        self.offset = self.hooked.offset()
        self.members.append(run)
        self.waiting.append(cache)
        run.prefill_ms = 1e3 * (time.perf_counter() - start)

    def step(self) -> Iterator[dict[str, Any]]:
        """Each open arm writes a token, and the tokens enter the model; yields the tokens' events as they are known."""
        start = time.perf_counter()
        if self.waiting:
            self.cache, self.waiting = joined_cache(self.waiting), []
        written = [(row, run, run.write()) for row, run in enumerate(self.members) if run.finish is None]
        events = [event for _, _, event in written if event]
        # A token that ends an answer enters the model only to be looked at.
        entering = [(row, run, event) for row, run, event in written if event and (self.listed or run.finish is None)]
        if not self.listed:
            yield from events
        if entering:
            rows = [row for row, _, _ in entering]
            if rows != list(range(len(self.members))):
                self.cache.batch_select_indices(torch.tensor(rows, device=self.hooked.device))
            self.members = [run for _, run, _ in entering]
            self._pass([event for _, _, event in entering])
        spent = 1e3 * (time.perf_counter() - start)
        for _, run, _ in written:
            run.decode_ms += spent
        if self.listed:
            yield from events

    def _pass(self, events: Sequence[dict[str, Any]]) -> None:
        members, sae = self.members, self.served.sae

        def change(hidden: Tensor) -> Tensor:
            given = torch.stack([run.at_hook(hidden[row], False) for row, run in enumerate(members)])
            if self.listed:
                own, after = sae.encode(hidden[:, 0]), sae.encode(given[:, 0])
                for row, event in enumerate(events):
                    event["features"] = active_features((own[0][row], own[1][row]), (after[0][row], after[1][row]), self.listed)
            return given

        logits = self.hooked.token([run.ids[-1] for run in members], self.cache, self.served.block, change, self.offset)
        for row, run in enumerate(members):
            run.logits = logits[row].cpu().numpy()
