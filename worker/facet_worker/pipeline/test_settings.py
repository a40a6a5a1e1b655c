"""The configuration file: what is read of it, and the sentence for each way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from facet_worker.errors import FacetError
from facet_worker.pipeline.settings import Section, Settings, read_settings

GOOD = """
run = "runs/one"
seed = 3
[model]
path = "../model"
[images]
path = "photos"
[[dictionaries]]
path = "sparse/model.layers.24"
[cache]
top = 7
"""


class Cache(Section):
    top: Annotated[int, Field(ge=1)] = 5
    share: float = 0.5
    kind: str = "x"


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "pipeline.toml"
    file.write_text(text)
    return read_settings(file, {"cache": Cache})


def test_paths_are_from_the_files_own_folder(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD)
    assert settings.run_folder == tmp_path / "runs/one"
    assert settings.path(settings.shared.model.path) == tmp_path.parent / "model"
    assert settings.dictionaries() == {"model.layers.24": tmp_path / "sparse/model.layers.24"}
    assert settings.section("cache", Cache).top == 7
    assert read(tmp_path, GOOD.replace("[cache]\ntop = 7", "")).section("cache", Cache).top == 5
    assert settings.section("cache", Cache).compared("kind") == {"top": 7, "share": 0.5}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("top = 7", "tpo = 7", r"pipeline\.toml: cache\.tpo is no setting; top is meant\?"),
        ("top = 7", "banana = 7", r"cache\.banana is no setting; known are top, share, kind\."),
        ("top = 7", 'top = "7"', r"cache\.top = '7': input should be a valid integer"),
        ("top = 7", "top = 0", r"cache\.top = 0: input should be greater than or equal to 1"),
        ("top = 7", "top = 7.5", r"cache\.top = 7\.5"),
        ("[cache]", "[cahce]", r"pipeline\.toml: cahce is no setting; cache is meant\?"),
        ("seed", "sead", r"sead is no setting; seed is meant\?"),
        ('path = "../model"', "", r"pipeline\.toml: model\.path is missing"),
        ('path = "../model"', 'path = ""', r"model\.path = ''"),
        ('path = "sparse/model.layers.24"', 'path = "x"\nhok = "y"', r"dictionaries\.0\.hok is no setting; hook is meant\?"),
        ('run = "runs/one"', "", r"run is missing"),
        ("[model]", "[model", r"pipeline\.toml is no TOML: .*line 4"),
    ],
)
def test_whatever_is_wrong_is_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in GOOD
    with pytest.raises(FacetError, match=said) as refused:
        read(tmp_path, GOOD.replace(before, after, 1))
    assert refused.value.code == "invalid_request"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FacetError, match=r"cache\.top = -1.*cache\.shar is no setting"):
        read(tmp_path, GOOD.replace("top = 7", "top = -1\nshar = 0.1"))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FacetError, match="There is no file"):
        read_settings(tmp_path / "none.toml", {})
    bare = read(tmp_path, 'run = "r"\n[model]\npath = "m"\n')
    with pytest.raises(FacetError, match=r"has no \[images\]"):
        _ = bare.images
    with pytest.raises(FacetError, match="names no dictionary and none was trained"):
        bare.dictionaries()
    twice = '[[dictionaries]]\npath = "a/model.layers.1"\n[[dictionaries]]\npath = "b"\nhook = "blocks.1.hook_resid_post"\n'
    with pytest.raises(FacetError, match=r"two dictionaries for model\.layers\.1"):
        read(tmp_path, 'run = "r"\n[model]\npath = "m"\n' + twice).dictionaries()
