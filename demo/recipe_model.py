"""The recipe's first stage: train the model from its seed, in full or by a few steps."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import torch

from demo.train_model import Trainer, parse


def train_checkpoint(folder: Path, work: Path, steps: int) -> None:
    """Train tower and model, and leave the finished checkpoint in `folder`.

    Parameters
    ----------
    work : where training keeps its states; a run that was broken off goes on from there
    steps : 0 for the full training (hours), else that many steps of each stage in this process
    """
    work = work / "training"
    if steps:
        _few_steps(work, steps)
    else:
        for stage in ("tower", "joint"):
            subprocess.run([sys.executable, "-m", "demo.train_model", "--stage", stage, "--work", str(work)], check=True)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work / "checkpoint", folder)


def _few_steps(work: Path, steps: int) -> None:
    torch.set_num_threads(1)
    for stage in ("tower", "joint"):
        options = parse(
            [
                "--stage",
                stage,
                "--work",
                str(work),
                "--processes",
                "1",
                "--steps",
                str(steps),
                "--decay-steps",
                "1",
                "--batch",
                "2",
                "--no-compile",
                "--fresh",
            ]
        )
        options.rank = 0
        trainer = Trainer(options)
        while trainer.step < steps:
            trainer.train_step([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
        trainer.save()
    trainer.export("checkpoint")
