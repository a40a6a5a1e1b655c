"""Train the embedded model: `python -m demo.train_model --stage tower`, then `--stage joint`; run again to resume.

Single-threaded processes average their gradients over gloo. The rate warms up, stays, and decays over the last
`--decay-steps` (WSD), so a run can be ended well at any moment. While it runs, `<work>/<stage>/control.json` is read:
`{"decay_steps": 300}` starts the decay now, `{"stop": true}` saves and ends, `{"rate": 0.5}` scales the rate,
`{"weights": {"place": 6}}` changes how often a task is asked, `{"shapes": 0.6}` the share of scenes drawn for several shapes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from demo.batches import IGNORE, Batch, make_batch
from demo.losses import HEAD, joint_losses, tower_losses
from demo.model import PATCH_TARGETS, TOWER, Params, build_model, save_checkpoint, trainable
from demo.optim import Adam, SharedMuon
from demo.tasks import TASKS, TRAIN_WEIGHTS
from demo.world import sample_scene

DEFAULT_WORK = Path(".facet/demo-work")
TOWER_RATE_IN_JOINT = 0.3
EMA = 0.98
WARMUP_STEPS = 60
# Which of several shapes has which colour is found last, all at once, and from many such scenes alone; so the joint stage has three lessons:
# the whole world, mostly shapes, and while the rate decays the whole world again. Each is (share of scenes with several shapes, weights of tasks).
LESSONS: dict[str, tuple[float, dict[str, float]]] = {
    "world": (0.0, {}),
    "shapes": (0.7, {"presence": 3, "read": 1.5, "place": 1.5, "count": 2.8, "beside": 1.8, "chat": 1.0, "colour": 60, "name": 1.4}),
    "decay": (0.3, {"presence": 3.5, "read": 2.4, "place": 1.5, "count": 4.0, "beside": 2.0, "chat": 1.6, "colour": 20, "name": 2.0}),
}
SHAPES_FROM = 0.736  # of the steps before the decay
SIGNALS = ("decay_steps", "stop", "save", "evaluate", "export", "rate")  # what process 0 tells the others each step


@dataclass
class Options:
    """The command line."""

    stage: str
    work: Path
    processes: int
    rank: int
    steps: int
    decay_steps: int
    batch: int
    tokens: int
    muon: float
    adam: float
    compile: bool
    fresh: bool
    save_minutes: float
    evaluate_minutes: float


def parse(argv: list[str] | None = None) -> Options:
    """Options from the command line; each stage has its own defaults."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--stage", choices=("tower", "joint"), required=True)
    a.add_argument("--work", type=Path, default=DEFAULT_WORK, help="folder for states, logs and checkpoints")
    a.add_argument("--processes", type=int, default=2)
    a.add_argument("--rank", type=int, default=-1, help=argparse.SUPPRESS)
    a.add_argument("--steps", type=int, default=0, help="steps in all; 0 takes the stage's own number")
    a.add_argument("--decay-steps", type=int, default=0)
    a.add_argument("--batch", type=int, default=0, help="images a process and step")
    a.add_argument("--tokens", type=int, default=256, help="packed text tokens an image")
    a.add_argument("--muon", type=float, default=0.0022, help="rate of the matrices")
    a.add_argument("--adam", type=float, default=0.001, help="rate of all else")
    a.add_argument("--no-compile", dest="compile", action="store_false")
    a.add_argument("--fresh", action="store_true", help="do not resume")
    a.add_argument("--save-minutes", type=float, default=4)
    a.add_argument("--evaluate-minutes", type=float, default=6)
    o = Options(**vars(a.parse_args(argv)))
    tower = o.stage == "tower"
    o.steps = o.steps or (1000 if tower else 4000)
    o.decay_steps = o.decay_steps or (250 if tower else 500)
    o.batch = o.batch or (32 if tower else 12)
    return o


def _initial(o: Options) -> Params:
    params = trainable(build_model())
    g = torch.Generator().manual_seed(1)
    params[HEAD + "weight"] = torch.randn(PATCH_TARGETS, 192, generator=g) * 0.02
    params[HEAD + "bias"] = torch.zeros(PATCH_TARGETS)
    tower = o.work / "tower" / "state.pt"
    if o.stage == "joint":
        if not tower.is_file():
            raise SystemExit(f"{tower} is missing: run --stage tower first")
        params.update({n: t.clone() for n, t in torch.load(tower, weights_only=True)["ema"].items()})
    else:
        params = {n: t for n, t in params.items() if n.startswith((TOWER, HEAD))}
    return params


def several_shapes(seed: int) -> int:
    """The next seed from this one on whose training scene holds two shapes or more: which of them has which colour is learned there alone."""
    while True:
        scene = sample_scene(seed, "train")
        if len(scene.objects) <= 4 and len({o.cls for o in scene.objects if o.kind == "shape"}) > 1:
            return seed
        seed += 1


def _is_matrix(name: str, t: Tensor) -> bool:
    return t.ndim == 2 and "embed" not in name and not name.startswith(HEAD)


class Trainer:
    """One process's part of a run."""

    def __init__(self, o: Options) -> None:
        self.o = o
        self.folder = o.work / o.stage
        self.folder.mkdir(parents=True, exist_ok=True)
        self.params = _initial(o)
        self.matrices = {n: t for n, t in self.params.items() if _is_matrix(n, t)}
        self.rest = {n: t for n, t in self.params.items() if n not in self.matrices}
        self.muon = SharedMuon(self.matrices, o.rank, o.processes)
        self.adam = Adam(self.rest)
        self.ema = {n: t.clone() for n, t in self.params.items()}
        self.step, self.decay_from, self.decay_steps = 0, o.steps - o.decay_steps, o.decay_steps
        self.rate = 1.0
        self.told: dict[str, Any] = {}  # control.json, when last read
        self._resume()
        for t in self.params.values():
            t.requires_grad_(True)
        self.tower_fn: Any = torch.compile(tower_losses, dynamic=False) if o.compile else tower_losses
        self.joint_fn: Any = torch.compile(joint_losses, dynamic=False) if o.compile else joint_losses

    def _resume(self) -> None:
        state, own = self.folder / "state.pt", self.folder / f"muon-{self.o.rank}.pt"
        if self.o.fresh or not state.is_file():
            return
        s = torch.load(state, weights_only=True)
        for n, t in s["params"].items():
            self.params[n].copy_(t)
        self.ema, self.adam.state, self.step, self.rate = s["ema"], s["adam"], s["step"], s["rate"]
        if s["decaying"] and self.step < s["decay_from"] + s["decay_steps"]:
            self.decay_from, self.decay_steps = s["decay_from"], s["decay_steps"]
        if own.is_file():
            kept = torch.load(own, weights_only=True)
            self.muon.state.update({n: t for n, t in kept.items() if n in self.muon.state})
        self.log(f"resumed at step {self.step}")

    def save(self) -> None:
        """The whole state, each file put in place by a rename."""
        if self.o.rank == 0:
            detached = {n: t.detach() for n, t in self.params.items()}
            state = {
                "params": detached, "ema": self.ema, "adam": self.adam.state, "step": self.step, "rate": self.rate,
                "decaying": self.step >= self.decay_from, "decay_from": self.decay_from, "decay_steps": self.decay_steps,
            }  # fmt: skip
            torch.save(state, self.folder / "state.new")
            os.replace(self.folder / "state.new", self.folder / "state.pt")
        torch.save(self.muon.state, self.folder / f"muon-{self.o.rank}.new")
        os.replace(self.folder / f"muon-{self.o.rank}.new", self.folder / f"muon-{self.o.rank}.pt")

    def export(self, name: str) -> None:
        """The averaged weights as a Hugging Face folder."""
        if self.o.rank == 0 and self.o.stage == "joint":
            save_checkpoint({n: t for n, t in self.ema.items() if not n.startswith(HEAD)}, self.o.work / name)

    def log(self, text: str) -> None:
        """A line on process 0's output."""
        if self.o.rank == 0:
            print(time.strftime("%H:%M:%S"), text, flush=True)

    def schedule(self) -> float:
        """The rate's factor at this step: warm up, stay, decay linearly to nearly nothing."""
        end = self.decay_from + self.decay_steps
        return self.rate * min(1.0, (self.step + 1) / WARMUP_STEPS, max(0.01, (end - self.step) / max(1, self.decay_steps)))

    def lesson(self) -> tuple[float, dict[str, float]]:
        """The share of scenes drawn for several shapes and how often each task is asked, at this step."""
        name = "decay" if self.step >= self.decay_from else "shapes" if self.step >= SHAPES_FROM * self.decay_from else "world"
        shapes, weights = LESSONS[name] if self.o.stage == "joint" else LESSONS["world"]
        return float(self.told.get("shapes", shapes)), {**TRAIN_WEIGHTS, **weights, **self.told.get("weights", {})}

    def _losses(self, params: Params, b: Batch) -> tuple[Tensor, list[float]]:
        if self.o.stage == "tower":
            loss, right = self.tower_fn(params, b.pixels, b.patch_entity, b.patch_weight)
            return loss, [float(loss.detach()), float(right)]
        loss, parts, _ = self.joint_fn(params, *b.tensors())
        return loss, [float(x) for x in parts]

    def train_step(self, signals: list[float]) -> tuple[list[float], list[float]]:
        """One optimiser step; returns loss parts and process 0's signals."""
        o = self.o
        first = (self.step * o.processes + o.rank) * o.batch + (1_000_000_000 if o.stage == "tower" else 0)
        rng = np.random.default_rng([first, 7])
        # their seeds lie apart from the others', a hundred for each, since one in twelve scenes will do
        shapes, weights = self.lesson()
        seeds = [several_shapes(2_000_000_000 + 100 * s) if rng.random() < shapes else s for s in range(first, first + o.batch)]
        b = make_batch("train", seeds, rng, 0 if o.stage == "tower" else o.tokens, weights)
        loss, parts = self._losses(self.params, b)
        names = list(self.params)
        grads = torch.autograd.grad(loss, [self.params[n] for n in names], allow_unused=True)
        flat = [torch.zeros(self.params[n].numel()) if g is None else g.float().reshape(-1) for n, g in zip(names, grads, strict=True)]
        told = torch.tensor(signals) * o.processes if o.rank == 0 else torch.zeros(len(SIGNALS))
        buffer = torch.cat([*flat, told, torch.tensor(parts)])
        if o.processes > 1:
            dist.all_reduce(buffer)
        buffer /= o.processes
        mean: Params = {}
        at = 0
        with torch.no_grad():
            for n in names:
                size = self.params[n].numel()
                mean[n] = buffer[at : at + size].view(self.params[n].shape)
                at += size
            norm = float(buffer[:at].norm())
            clip = min(1.0, 2.0 / max(norm, 1e-9))
            rest = {n: mean[n] * clip for n in self.rest}
            factor = self.schedule()

            def slow(n: str) -> float:
                return TOWER_RATE_IN_JOINT if o.stage == "joint" and n.startswith((TOWER, HEAD)) else 1.0

            self.muon.step(self.params, mean, {n: o.muon * factor * slow(n) for n in self.matrices})
            self.adam.step(self.params, rest, {n: o.adam * factor * slow(n) for n in self.rest})
            keep = min(EMA, (1 + self.step) / (10 + self.step))
            for n in names:
                self.ema[n].lerp_(self.params[n].detach(), 1 - keep)
        self.step += 1
        return buffer[at + len(SIGNALS) :].tolist() + [norm], buffer[at : at + len(SIGNALS)].tolist()

    def evaluate(self, images: int = 96) -> dict[str, tuple[float, int]]:
        """Teacher-forced exact answers of the averaged weights on validation scenes, by task: (share right, n)."""
        right, n = torch.zeros(len(TASKS) + 1), torch.zeros(len(TASKS) + 1)
        rng = np.random.default_rng([self.o.rank, 11])
        o = self.o
        for start in range(0, images // o.processes, o.batch):
            first = o.rank * images + start
            b = make_batch("val", list(range(first, first + o.batch)), rng, 0 if o.stage == "tower" else o.tokens)
            with torch.no_grad():
                if o.stage == "tower":
                    right[-1] += float(self.tower_fn(self.ema, b.pixels, b.patch_entity, b.patch_weight)[1])
                    n[-1] += 1
                    continue
                guess = self.joint_fn(self.ema, *b.tensors())[2]
            wrong = (guess != b.labels) & (b.labels != IGNORE)
            for row, tasks in enumerate(b.tasks):
                for segment, task in enumerate(tasks):
                    n[TASKS.index(task)] += 1
                    right[TASKS.index(task)] += float(not bool(wrong[row][b.segments[row] == segment].any()))
        if o.processes > 1:
            dist.all_reduce(right)
            dist.all_reduce(n)
        return {t: (round(float(right[i] / n[i]), 3), int(n[i])) for i, t in enumerate((*TASKS, "patch")) if n[i] > 0}

    def _control(self) -> dict[str, Any]:
        try:
            c: dict[str, Any] = json.loads((self.folder / "control.json").read_text())
        except (OSError, ValueError):
            return {}
        self.told = c
        return c

    def run(self) -> None:
        """Train until the decay has ended or a stop is asked for."""
        o = self.o
        saved = evaluated = exported = time.time()
        started, first_step = time.time(), self.step
        recent: list[list[float]] = []
        while self.step < self.decay_from + self.decay_steps:
            signals = [0.0, 0.0, 0.0, 0.0, 0.0, self.rate]
            if self.step % 5 == 0:
                c = self._control()
                signals[0], signals[1], signals[5] = (
                    float(c.get("decay_steps", 0)),
                    float(bool(c.get("stop"))),
                    float(c.get("rate", self.rate)),
                )
            now = time.time()
            if o.rank == 0:
                signals[2], signals[3], signals[4] = (
                    now - saved > 60 * o.save_minutes,
                    now - evaluated > 60 * o.evaluate_minutes,
                    now - exported > 480,
                )
            parts, told = self.train_step([float(s) for s in signals])
            recent.append(parts)
            decay, stop, save, evaluate, export, self.rate = told
            if decay > 0 and self.step < self.decay_from:
                self.decay_from, self.decay_steps = self.step, round(decay)
                self.log(f"decaying over {self.decay_steps} steps")
            if self.step % 20 == 0 or self.step - first_step <= 3:
                means = " ".join(f"{x:.3f}" for x in np.mean(recent, 0))
                speed = (self.step - first_step) * o.batch * o.processes / (now - started + 1e-9)
                self.log(f"step {self.step} rate {self.schedule():.3f} images/s {speed:.1f} losses {means}")
                recent = []
            if save:
                self.save()
                saved = time.time()
            if evaluate:
                self.log("val " + json.dumps(self.evaluate()))
                evaluated = time.time()
            if export:
                self.export("latest-checkpoint")
                exported = time.time()
            if stop:
                self.save()
                self.export("latest-checkpoint")
                self.log("stopped")
                return
        self.save()
        self.export("checkpoint")
        self.export("latest-checkpoint")
        self.log("final val " + json.dumps(self.evaluate(384)))


def main() -> None:
    """Start the processes, or be one of them."""
    o = parse()
    o.work.mkdir(parents=True, exist_ok=True)
    if o.rank < 0 and o.processes > 1:
        meeting = o.work / f"meeting-{os.getpid()}"
        env = {**os.environ, "OMP_NUM_THREADS": "1", "FACET_MEETING": str(meeting.resolve())}
        kids = [
            subprocess.Popen([sys.executable, "-m", "demo.train_model", *sys.argv[1:], "--rank", str(r)], env=env)
            for r in range(o.processes)
        ]
        codes = [k.wait() for k in kids]
        meeting.unlink(missing_ok=True)
        raise SystemExit(max(abs(c) for c in codes))
    o.rank = max(o.rank, 0)
    torch.set_num_threads(1)
    if o.processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{os.environ['FACET_MEETING']}", rank=o.rank, world_size=o.processes)
    Trainer(o).run()
    if o.processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
