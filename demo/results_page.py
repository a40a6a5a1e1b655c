"""Write docs/results.md from demo/results/explanations.json.

python -m demo.results_page
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WAYS = {
    "top-images": "its darkened top pictures (a)", "causal": "set on an empty picture (b)", "top-places": "whole top pictures, asked about the place",
    "tokens": "its top texts",
}  # fmt: skip
METRICS = {
    "iou": "IoU", "consistency": "consistency", "detection": "detection", "steer": "steering effect", "monosemanticity": "monosemanticity",
}  # fmt: skip
PAPER = {
    "iou": ".20, random .005", "consistency": ".89 by GPT-4o, .75 by people", "detection": "", "steer": "6.36 of 10, random 2.02 (another scale)",
    "monosemanticity": "",
}  # fmt: skip

HEAD = """# Results: the embedded dictionaries, explained and scored by the embedded model

What the features of the [embedded model](../demo/README.md) stand for, as this model itself says, and how good those explanations are. Nobody else was asked: no endpoint, no network. The
numbers are those of `demo/results/explanations.json`; `python -m demo.results_page` writes this page from it.

**What can be compared with the paper.** The ways of measuring IoU, consistency and chance are the paper's ([arXiv 2411.14982](https://arxiv.org/abs/2411.14982)). The subject is not: a model of 6 million parameters in a world of
144 drawn things, against LLaVA-NeXT-8B and photographs. Here the truth is exact, so IoU is easier than with a detector that makes mistakes; the explainer and judge is the small model itself, which knows no other
words than its things and backgrounds, and never saw a darkened picture, so these are harder than with LLaVA-OneVision-72B and GPT-4o. A higher or lower number than the paper's therefore says
nothing about which system is better; the distance from chance in each row is what counts.

## Explanations

Each way gives a feature its own explanation, or a recorded failure. A label is the narrowest phrase for which enough of the model's own answers stand, and that it does not give without the feature
([the rule](pipeline-explain.md#explainers)); no label comes from anywhere else.
"""

NOTE = """
How the committed rows were made: `causal` and `top-images` were asked of every feature that fires on pictures, by one run of the stage `own-words`, ended and gone on with; every score by one run of the stage `score` after
it, on the committed model, dictionaries and pictures; what is said of whole pictures and of texts by the stages `describe` and `explain` before them. Consistency, detection and monosemanticity are of 40 features a
dictionary, drawn at random of those that the judge can be asked about; where a row has few of them, its interval says how little it tells.
"""

TAIL = """
## What each number is

| score | value | chance |
|---|---|---|
| IoU | mean over the 5 top pictures of the overlap of where the feature fires (map upsampled to 336 × 336, above 1e-5) with where the labelled thing was drawn, to the pixel | another feature's label, same pictures |
| consistency | share of the 5 top pictures, dark where the feature is silent, of which the model answers yes to “is there a … ?” | another feature's label, same pictures |
| detection | balanced accuracy of the same question about 5 whole pictures on which the feature fires (others than explained it) and 5 random ones on which it does not; a coin gives .5 | another feature's label, same pictures |
| steering effect | share of 6 pictures without what the explanation claims on which the model names it at the place where the feature was set to 4 times its maximum | another feature set there |
| monosemanticity | mean cosine of the stored pictures' embeddings by the model's own vision tower, weighted by activation ([arXiv 2504.02821](https://arxiv.org/abs/2504.02821)) | random pictures, same weights |

- **The judge** can be asked only about things (“is there a dog ?”), neither about backgrounds nor about kinds such as “animals”: those labels have a recorded failure and are in no mean. On whole pictures it answers this
  question right in 0.996 of 500 cases (`demo/results/model.json`). Darkened pictures it has never seen: read its consistency beside its chance.
- **Detection is bounded by the features**, too: a feature can fire weakly on a picture on account of something else, and such a picture counts as one on which it fires.
- **Monosemanticity** by the model's own tower is not independent of the features; an independent embedder was not at hand offline.
- **The CLIP score** (paper: 23.6, random 18.2) is missing: it needs a CLIP checkpoint, which is not part of this repository. `[score] metrics = ["clip"]` with a checkpoint's folder measures it.
- **The paper's steering score** is a judge's grade of 1 to 10 and cannot be set against a share.
- Means are over features; the interval is the mean ± 1.96 standard errors. A feature without a value (no label, nothing to measure) is counted under failures and is in no mean.
- Labels on the app's pages are the preferred ones: of a feature's explanations the one with the best IoU and steering effect together. This choice uses the truth, so the row “preferred” is better than a choice without it would be.

## Making it again

```sh
python -m demo.recipe --seed 0 --work /some/folder --out demo --stage own-words score manifest   # after the recipe's other stages
python -m demo.results_page
```

The stages go on where they were ended. About an hour and a half on one core. `results/explanations.json` has the quartiles too.
"""


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}"


def _cell(found: dict[str, Any]) -> str:
    if not found["n"]:
        return ""
    return f"**{_number(found['mean'])}** ({_number(max(0, found['low']))} to {_number(min(1, found['high']))})"


def _explained(report: dict[str, Any]) -> list[str]:
    lines = ["| dictionary | way | asked | explained | of those preferred | most frequent failures |", "|---|---|---|---|---|---|"]
    for hook, one in report.items():
        for way, said in WAYS.items():
            if way in one:
                failures = "; ".join(f"{why.rstrip('.')}: {count:,}" for why, count in list(one[way]["failures"].items())[:2])
                row = one[way]
                lines.append(f"| `{hook}` | {said} | {row['asked']:,} | {row['explained']:,} | {row['preferred']:,} | {failures} |")
    return lines


def _scored(report: dict[str, Any]) -> list[str]:
    lines = [
        "| dictionary | explained by | score | mean (95 %) | chance (95 %) | n | without a value | the paper |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for hook, one in report.items():
        for way in ("preferred", *(way for way in WAYS if way in one)):
            for metric, name in METRICS.items():
                found = one["preferred"][metric] if way == "preferred" else one[way].get(metric)
                if not found or not found["value"]["n"]:
                    continue
                failed = sum(found["failed"].values())
                lines.append(
                    f"| `{hook}` | {WAYS.get(way, 'preferred')} | {name} | {_cell(found['value'])} | {_cell(found['random'])} | {found['value']['n']:,} | {failed:,} | {PAPER[metric]} |"
                )
    return lines


def page(report: dict[str, Any]) -> str:
    """The page's Markdown."""
    facts = "; ".join(
        f"`{hook}` has {one['features']:,} features, of which {one['on_pictures']:,} fire on pictures, and {one['labelled']:,} have a label"
        for hook, one in report.items()
    )
    explained, scored = "\n".join(_explained(report)), "\n".join(_scored(report))
    return f"{HEAD}\n{facts}.\n\n{explained}\n\n## Scores\n\nEach beside the same measurement at chance.\n\n{scored}\n{NOTE}{TAIL}"


def main() -> None:
    """Write the page."""
    report = json.loads((ROOT / "demo/results/explanations.json").read_text())
    (ROOT / "docs/results.md").write_text(page(report))


if __name__ == "__main__":
    main()
