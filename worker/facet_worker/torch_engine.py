"""The engine over PyTorch: any dictionary at any decoder block of a Hugging Face image-text-to-text model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facet_worker.activations import input_activations, maps_of
from facet_worker.arms import ArmRun, ArmSetting
from facet_worker.attribution import Explained, attribute, rows_together
from facet_worker.attribution_metric import check_attribution, places_read
from facet_worker.batch import Served
from facet_worker.clamping import Variant
from facet_worker.compiling import compile_blocks
from facet_worker.decoder import decoder_blocks, layer_of
from facet_worker.dictionaries import Dictionary
from facet_worker.dictionary_files import load_dictionary
from facet_worker.engine import Admit, AttributionSize, Pixels, Tap, keep_all
from facet_worker.errors import FacetError
from facet_worker.hooked_model import HookedModel
from facet_worker.jobs import Asked, Job, Together, Told
from facet_worker.loading import DTYPES, load_model
from facet_worker.planning import ClampPlan, plan_clamps, sweep_points
from facet_worker.prompting import Prompt, Prompter
from facet_worker.reconstruction import measure, probe_messages, probe_picture, refusal
from facet_worker.sampling import draw_substitutes


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
            self.served[f"{model_id}/{hook}"] = Served(
                hook, hook, sae.to(self.hooked.device, sae.w_dec.dtype), block, self.hooked.abilities(hook)
            )
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
        compiler: str | None = None,
    ) -> TorchEngine:
        """Load a model and its dictionaries; safetensors only, and no code from a hub is run.

        Parameters
        ----------
        model : a folder, or a hub id together with the `revision` to pin it to
        dictionaries : folders, or `sae-lens:<release>/<id>`, by hook; without hooks where their files or folder say it
        unchecked_dictionary : serve one that does not reconstruct the model's states all the same
        compiler : a backend of `torch.compile` for the decoder's blocks, such as `inductor`

        Raises
        ------
        FacetError : `engine_unavailable` where a dictionary reconstructs the hook's states worse than their mean would, and what reading files throws.
        """
        loaded = load_model(model, revision, device, dtype)
        saes: dict[str, Dictionary] = {}
        for named in dictionaries.items() if isinstance(dictionaries, Mapping) else ((None, source) for source in dictionaries):
            sae = load_dictionary(named[1]).to(device, DTYPES[dtype])
            hook = f"model.layers.{layer_of(named[0] or sae.hook or Path(named[1]).name)}"
            if hook in saes:
                raise FacetError(f"Two dictionaries are for {hook}; a hook takes one.", "invalid_request", fix="Serve one of them.")
            saes[hook] = sae
        default_id = re.sub(r"[^\w.-]", "-", str(model).rstrip("/").split("/")[-1])
        if compiler is not None:
            compile_blocks(loaded.model, compiler)
        engine = cls(loaded.model, loaded.processor, saes, model_id or default_id, loaded.sha256)
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
            states = self._states(prompt.inputs, served.block)
            with torch.inference_mode():
                served.reconstruction = measure(served.sae, states, prompt.layout.image)
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
            "batching": "mixed" if served.abilities.padded else "one by one",
            "maxPositions": self.prompter.room,
            "modes": ["delta", "reconstruct"],
        }

    def _states(self, inputs: dict[str, Any], block: torch.nn.Module) -> Tensor:
        """The block's output [N, D] on a prompt, in one pass."""
        seen: list[Tensor] = []

        def look(hidden: Tensor) -> Tensor:
            seen.append(hidden[0])
            return hidden

        self.hooked.prefill(inputs, block, look)
        return seen[0]

    def features(self, request: dict[str, Any], images: Sequence[Pixels], cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Which features fire on one image, cell by cell of its base grid."""
        served = self._find(request["dictionary"])
        prompt = self.prompter.of_image(images[0])
        if cancelled():
            raise FacetError("The request was cancelled before it began.", "cancelled")
        states = self._states(prompt.inputs, served.block)
        grid = prompt.layout.images[0]
        with torch.inference_mode():
            indices, values = served.sae.encode(states[torch.from_numpy(grid.cells).to(states.device)])
        total, features = maps_of((indices, values), request["limit"])
        return {"rows": grid.rows, "cols": grid.cols, "total": total, "features": features}

    def activations(
        self,
        request: dict[str, Any],
        images: Sequence[Pixels],
        cancelled: Callable[[], bool],
        admit: Callable[[int], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Which features fire on a prompt, images and words apart; see `facet_worker.engine.Engine`."""
        served = self._find(request["dictionary"], request.get("version"))
        prompt = self.prompter.assemble(request["messages"], images, 0)
        admit(prompt.layout.length)
        if cancelled():
            raise FacetError("The request was cancelled before it began.", "cancelled")
        states = self._states(prompt.inputs, served.block)
        with torch.inference_mode():
            indices, values = served.sae.encode(states)
        dictionary = {"ref": f"{self.model_id}/{served.id}", "hook": served.hook, "sha256": served.sae.sha256}
        return {"dictionary": dictionary, **input_activations(prompt, self.prompter.codec, (indices.cpu(), values.cpu()), request)}

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
            else:
                settings.append(ArmSetting(arm, plan, reconstructs, _variant(arm, plan, sae, units, sampling["seed"])))
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
        together = Together(self.hooked)
        together.add(0, self.job(Asked(request, images, units, cancelled, tap)))
        return _alone(together)

    def attribute(
        self,
        request: dict[str, Any],
        images: Sequence[Pixels],
        units: Mapping[int, float],
        cancelled: Callable[[], bool],
        admit: Admit = keep_all,
    ) -> Iterator[dict[str, Any]]:
        """Which features make a token of an answer what it is, one event after the other; refuses at once what can be refused without the model."""
        served = self._find(request["dictionary"], request.get("version"))
        sae, answer, vocabulary = served.sae, request.get("answer"), int(self.hooked.model.get_output_embeddings().weight.shape[0])
        longest = len(answer) if answer is not None else request["maxTokens"]
        if answer is not None:
            check_attribution(request, answer, vocabulary, sae.num_latents)
        prompt = self.prompter.assemble(request["messages"], images, longest)
        control = request.get("control")
        arm, seed = (control["type"], control.get("seed", 0)) if control else ("steered", 0)
        # A control may have ended before a clamp on generated tokens met any, which is refused of an answer of one token only.
        tokens = max(longest, 2) if control and answer is not None else longest
        plan = plan_clamps(request["interventions"], prompt.layout, request["mode"], sae.num_latents, tokens, units)
        variant = _variant(arm, plan, sae, units, seed)
        frame = {
            "model": {"id": self.model_id, "sha256": self.sha256},
            "dictionary": {"id": served.id, "hook": served.hook, "sha256": sae.sha256},
            "engine": self._identity(),
        }

        together = rows_together(served, prompt.layout.length + longest)
        above = len(decoder_blocks(self.hooked.model)[1]) - layer_of(served.hook) - 1
        asks = len(request["measure"]) if request.get("measure") is not None else request["exact"]
        entering = longest if answer is None else places_read(request, answer)[-1]
        size = AttributionSize(prompt.layout.length, entering, answer is None, above, min(together, asks))

        def told() -> Iterator[dict[str, Any]]:
            recompute = admit(size)
            given = self._written(request, arm, seed, images, units, cancelled) if answer is None else answer
            check_attribution(request, given, vocabulary, sae.num_latents)
            codec = self.prompter.codec
            asked = Explained(request, given, prompt, plan, variant, served, codec, frame, cancelled, recompute)
            yield from attribute(self.hooked, asked)

        return told()

    def _written(
        self,
        request: dict[str, Any],
        arm: str,
        seed: int,
        images: Sequence[Pixels],
        units: Mapping[int, float],
        cancelled: Callable[[], bool],
    ) -> list[int]:
        """The greedy answer of one arm, `steered` or a control, under the request's clamps."""
        kept = {name: request[name] for name in ("dictionary", "messages", "interventions", "mode")}
        sampling = {"maxTokens": request["maxTokens"], "temperature": 0, "topP": 1, "seed": seed}
        asked = {**kept, "sampling": sampling, "controls": [arm] if arm != "steered" else [], "alternatives": 0}
        job = self.job(Asked(asked, images, units, cancelled))
        together = Together(self.hooked)
        together.add(0, replace(job, runs=[run for run in job.runs if run.arm == arm]))
        ids = [event["id"] for event in _alone(together) if event["type"] == "token"]
        if cancelled():
            raise FacetError("The request was cancelled.", "cancelled")
        return ids

    def generate_together(self, asked: Sequence[Asked]) -> Iterator[Told]:
        """Several requests as one batch, of any prompts, clamps and dictionaries: a pass through the model writes a token of each arm of each.

        Yields (index of the request, its event). Each one's events are those of `generate`, in their order. What it is refused for, or fails of, is
        its last event, a `FacetError`, and the others go on. Where `info` says `batching: "one by one"` they run one after another.
        """
        together = Together(self.hooked)
        for owner, one in enumerate(asked):
            try:
                together.add(owner, self.job(one))
            except FacetError as error:
                yield owner, error
        yield from together.run()

    def job(self, asked: Asked) -> Job:
        """A request planned, for `Together`. Throws what can be refused without running the model."""
        request = asked.request
        served = self._find(request["dictionary"], request.get("version"))
        prompt = self.prompter.assemble(request["messages"], asked.images, request["sampling"]["maxTokens"])
        settings = self._settings(request, prompt, served.sae, asked.units)
        watch = self.prompter.codec.watched(request.get("watch", []))
        runs = [ArmRun(s, request, served.sae, self.prompter.codec, self.ends, watch, asked.tap or Tap()) for s in settings]
        frame = {
            "model": {"id": self.model_id, "sha256": self.sha256},
            "dictionary": {"id": served.id, "hook": served.hook, "sha256": served.sae.sha256},
            "engine": self._identity(),
        }
        return Job(request, served, prompt, runs, watch, asked.cancelled, frame)


def _variant(arm: str, plan: ClampPlan, sae: Dictionary, units: Mapping[int, float], seed: int) -> Variant:
    """What `steered`, `negated` or `random` makes of the plan's clamps."""
    if arm == "random":
        return Variant("random", tuple(draw_substitutes([clamp.feature for clamp in plan.clamps], sae.num_latents, units, seed)))
    return Variant("negated" if arm == "negated" else "asked")


def _alone(together: Together) -> Iterator[dict[str, Any]]:
    for _, event in together.run():
        if isinstance(event, FacetError):
            raise event
        yield event
