"""The configuration file: TOML, every key typed, every unknown key refused, all of it checked before any work."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facet_worker.errors import FacetError

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A table of the file. Numbers are numbers and texts are texts: nothing is converted. Base class of every step's own section."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def compared(self, *without: str) -> dict[str, Any]:
        """The settings as plain values, for a step's `configuration`; `without` those that change nothing in the result."""
        return self.model_dump(mode="json", exclude=set(without))


class ModelSection(Section):
    """`[model]`: a checkpoint's folder, or a hub's id with the `revision` to pin it to.

    `id` is its part of addresses (default: the folder's name); `devices` (`cpu`, `cuda:0` …) work side by side, one process each;
    `dtype` is that of the model's arithmetic.
    """

    path: Name
    revision: str | None = None
    id: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None
    name: str | None = None
    devices: Annotated[list[Name], Field(min_length=1)] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    unchecked_dictionary: bool = False


class ImagesSection(Section):
    """`[images]`: a folder of pictures (those in folders below count too), a Parquet file with a column `image` of {bytes, path}, or a bundle's images.parquet.

    `limit` 0 takes all; `captions` reads what is said of each: a text file of the picture's name beside it, or the column `caption`.
    """

    path: Name
    limit: Count = 0
    captions: bool = False
    attribution: str | None = None


class DictionarySection(Section):
    """`[[dictionaries]]`: a folder in any layout that is served, or `sae-lens:<release>/<id>`; `hook` where its files do not say it."""

    path: Name
    hook: str | None = None


class Pipeline(Section):
    """The whole file. Each step's section is checked by that step's own class: see `facet_worker.pipeline.steps`."""

    run: Name
    seed: Count = 0
    model: ModelSection
    images: ImagesSection | None = None
    dictionaries: list[DictionarySection] = Field(default_factory=list)


Sections = Mapping[str, type[Section]]
FIX = "Correct {}; docs/pipeline.md lists every setting."
Checked = TypeVar("Checked", bound=Section)


class Settings:
    """A checked file: what all steps share (`shared`), and the sections of the steps that it names, in `sections`."""

    def __init__(self, file: Path, shared: Pipeline, sections: dict[str, Section]) -> None:
        self.file, self.shared, self.sections = file, shared, sections

    def path(self, named: str) -> Path:
        """A path of the file, relative to the file's own folder."""
        return (self.file.parent / Path(named).expanduser()).resolve()

    @property
    def run_folder(self) -> Path:
        return self.path(self.shared.run)

    @property
    def images(self) -> ImagesSection:
        """Throws `invalid_request` where the file names no images."""
        if self.shared.images is None:
            raise FacetError(
                f"{self.file.name} has no [images].", "invalid_request", fix="Say where the pictures are: [images] with `path`."
            )
        return self.shared.images

    def dictionaries(self) -> dict[str, Path | str]:
        """Where each hook's dictionary lies: those of the file, else those that `train` made in the run folder. Throws `invalid_request`."""
        from facet_worker.decoder import layer_of

        found: dict[str, Path | str] = {}
        for entry in self.shared.dictionaries:
            place = entry.path if entry.path.startswith("sae-lens:") else self.path(entry.path)
            hook = f"model.layers.{layer_of(entry.hook or Path(entry.path).name)}"
            if hook in found:
                raise FacetError(f"{self.file.name} has two dictionaries for {hook}.", "invalid_request", fix="Give each hook one.")
            found[hook] = place
        trained = self.run_folder / "train" / "dictionaries"
        if not found and trained.is_dir():
            found = {folder.name: folder for folder in sorted(trained.iterdir()) if folder.is_dir()}
        if not found:
            raise FacetError(
                f"{self.file.name} names no dictionary and none was trained.", "invalid_request", fix="Add [[dictionaries]] with `path`."
            )
        return found

    def section(self, name: str, kind: type[Checked]) -> Checked:
        """A step's section; its defaults where the file has none. Throws `invalid_request` where it has no default."""
        found = self.sections.get(name)
        return found if isinstance(found, kind) else _checked(kind, {}, self.file.name, name)


def _hint(wrong: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wrong, known, 1)
    return f"{near[0]} is meant?" if near else f"known are {', '.join(known)}"


def _sentence(error: Mapping[str, Any], kind: type[Section], file: str, at: str) -> str:
    place = ".".join(str(part) for part in error["loc"])
    whole = f"{at}.{place}" if at and place else at or place
    if error["type"] == "extra_forbidden":
        return f"{file}: {whole} is no setting; {_hint(str(error['loc'][-1]), _known(kind, error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{file}: {whole} is missing"
    return f"{file}: {whole} = {error['input']!r}: {str(error['msg'])[0].lower()}{str(error['msg'])[1:]}"


def _known(kind: Any, loc: tuple[Any, ...]) -> list[str]:
    """Keys of the table that an error's place lies in."""
    for part in loc:
        if isinstance(part, int):
            continue
        field = kind.model_fields[part]
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        kind = next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
    return list(kind.model_fields)


def _checked(kind: type[Checked], table: Any, file: str, at: str = "") -> Checked:
    try:
        return kind.model_validate(table)
    except ValidationError as invalid:
        sentences = [_sentence(error, kind, file, at) for error in invalid.errors()]
        raise FacetError(
            f"{'. '.join(sentences)}.", "invalid_request", fix=f"Correct {file}; docs/pipeline.md lists every setting."
        ) from None


def read_settings(file: Path, sections: Sections) -> Settings:
    """Reads and checks a pipeline's file.

    Parameters
    ----------
    sections : the class of each step's section, by the step's name

    Raises
    ------
    FacetError : `not_found`, or `invalid_request` with every wrong or unknown key.
    """
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise FacetError(f"There is no file {file}.", "not_found", fix="Name a pipeline's TOML file.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FacetError(f"{file.name} is no TOML: {error}.", "invalid_request", fix="Correct it there.") from error
    shared = {name: table for name, table in content.items() if name not in sections}
    unknown = sorted(name for name in shared if name not in Pipeline.model_fields)
    if unknown:
        hint = _hint(unknown[0], [*Pipeline.model_fields, *sections])
        raise FacetError(f"{file.name}: {unknown[0]} is no setting; {hint}.", "invalid_request", fix=FIX.format(file.name))
    checked = _checked(Pipeline, shared, file.name)
    parts = {name: _checked(kind, content[name], file.name, name) for name, kind in sections.items() if name in content}
    return Settings(file.resolve(), checked, parts)
