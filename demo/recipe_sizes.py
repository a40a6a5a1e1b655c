"""How large a run of the recipe is."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    images: int = 4_200
    latents: int = 2_048
    spare: int = 512
    k: int = 24
    steps: int = 1_000
    batch: int = 2_048
    train_scenes: int = 2_600
    train_texts: int = 4
    heldout_scenes: int = 240
    parity_prompts: int = 200
    probes: int = 24
    looked: int | None = None  # the model looks at the darkened top pictures of features below this index; None: of all
    judged: int = 40  # features a dictionary of which the model is asked as a judge
    model_steps: int = 0  # 0: the model's own full training

    @classmethod
    def reduced(cls) -> Sizes:
        """What fits two minutes."""
        return cls(
            images=48,
            latents=128,
            spare=16,
            k=8,
            steps=40,
            batch=512,
            train_scenes=24,
            train_texts=2,
            heldout_scenes=8,
            parity_prompts=3,
            probes=6,
            looked=64,
            judged=8,
            model_steps=3,
        )

    def changed(self, **values: int | None) -> Sizes:
        """The same with some values replaced where they are given."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})
