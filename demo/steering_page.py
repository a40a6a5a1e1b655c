"""The counted part of docs/steering.md: what was done, and what was counted as tables, one set a hook."""

from __future__ import annotations

from typing import Any

BEGIN = "<!-- counted: python -m demo.measure_steering writes from here -->"
END = "<!-- counted: to here -->"


def into_page(page: str, counted: str, begin_mark: str = BEGIN, end_mark: str = END) -> str:
    """The page with what was counted between two marks.

    Raises
    ------
    ValueError : when the page lacks a mark.
    """
    head, begin, rest = page.partition(begin_mark)
    _, end, tail = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"The page has no lines {begin_mark} and {end_mark} to write between.")
    return f"{head}{begin_mark}\n\n{counted.strip()}\n\n{end_mark}{tail}"


def _introduction(question: str) -> list[str]:
    return [
        "## What a clamp does to the demo model, counted", "",
        "Made by `python -m demo.measure_steering` (`node bench/steering-effect.mjs` sets up what it needs first); every number is in `demo/results/steering.json`. A clean",
        "concept feature is one of whose ten top images nine or more show one class where it fires most; at most one feature a class is taken. Each is set to a multiple of",
        f'its own maximum on catalogue images that do not show its class, and the model is asked "{question}". Brackets are 95 % intervals (Wilson).', "",
        "- **Where**: *object*: the patches of the largest thing there; *swap*: the same, with that thing's own clean features ablated there; *cell*: 3 × 3 patches of a place",
        "  with nothing in it; *image*: every patch; *all*: every position, words asked and written too.",
        "- **Named**: the caption names the class. **In that place**: and says that it stands where it was set. **Well-formed**: the caption follows the grammar that the",
        "  model was taught.",
        "- **Controls**: *random*: the same change along a random live feature's decoder row, at equal norm; *negated*: the same change turned round; *told*: no clamp, but the",
        "  model is made to have answered yes when asked whether the thing is there, the nearest that its language has to a prompt that pretends so.",
        "- **Gone**: of captions that name the class, those that no longer do once features are ablated on every patch that the object touches.",
        "- **Unrelated**: questions with exact answers about other things in the same picture (background, another thing's place, what is elsewhere, whether something is there).",
        "- **Asked in other ways**: the same features on the same pictures, asked something else than for a caption; what counts is that the answer says the class is there.", "",
    ]  # fmt: skip


def _cell(entry: dict[str, float] | None) -> str:
    return "" if entry is None else f"{entry['share']:.2f} [{entry['low']:.2f}–{entry['high']:.2f}]"


def _bare(entry: dict[str, float]) -> str:
    return f"{entry['share']:.2f}"


WHAT = {
    "own": ("the class's own clean features", "as many random live ones"),
    "own ×-1": ("the same, turned round to −1× what they were", "as many random live ones, turned round"),
    "own ×-2": ("the same, to −2×", "as many random live ones, to −2×"),
    "everything": ("everything that fires on the object", ""),
}


def _ablated(row: dict[str, Any]) -> tuple[str, str]:
    if row["what"] in WHAT:
        return WHAT[row["what"]]
    return f"the {row['what'].split()[1]} that fire there and write its name most", "as many others that fire there"


def _hook(r: dict[str, Any]) -> list[str]:
    n = int(r["rows"][0]["steered"]["named"]["n"])
    out = [
        f"### {r['hook']}: {r['features']} clean concept features, n = {n} captions a row", "", "#### Named when absent (mode `delta`)", "",
        "| where | strength | named | in that place | well-formed | named, random | well-formed, random | named, negated |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in r["rows"]:
        s = row["steered"]
        out.append(
            f"| {row['scope']} | {row['strength']:g}× | {_cell(s['named'])} | {_cell(row.get('in_place'))} | {_cell(s['well_formed'])} | {_cell(row['random']['named'])} "
            f"| {_cell(row['random']['well_formed'])} | {_cell(row['negated']['named'])} |"
        )
    b, told, bare = r["baseline"], r["told"], r["reconstruction"]
    out += [
        "", f"Without a clamp: named {_cell(b['named'])}, well-formed {_cell(b['well_formed'])}. Told: named {_cell(told['named'])}, well-formed {_cell(told['well_formed'])}.", "",
        "#### Mode `reconstruct`, clamps on the prompt only", "", "| where | strength | named | well-formed |", "|---|---|---|---|",
        f"| no clamp | | {_cell(bare['named'])} | {_cell(bare['well_formed'])} |",
    ]  # fmt: skip
    out += [f"| {row['scope']} | {row['strength']:g}× | {_cell(row['named'])} | {_cell(row['well_formed'])} |" for row in r["reconstruct"]]
    a = r["ablation"]
    out += [
        "", f"#### Gone when ablated ({a['classes']} classes, n = {int(a['rows'][0]['gone']['n'])} captions that name the class)", "",
        "| ablated on the object's patches | features, mean | gone | well-formed | control | gone, control |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in a["rows"]:
        what, control = _ablated(row)
        out.append(
            f"| {what} | {row['features']:.1f} | {_cell(row['gone'])} | {_cell(row['well_formed'])} | {control} | {_cell(row['gone_control'])} |"
        )
    u = r["unrelated"]
    out += ["", f"#### Unrelated questions answered right (n = {int(u['baseline']['n'])}; without a clamp {_cell(u['baseline'])})", ""]
    out += ["| where | strength | with the clamp | with a random feature of equal norm |", "|---|---|---|---|"]
    out += [f"| {row['scope']} | {row['strength']:g}× | {_cell(row['steered'])} | {_cell(row['random'])} |" for row in u["rows"]]
    return [*out, *_forms(r["forms"]), ""]


FORM_NAMES = {
    "caption": "“describe the picture .”",
    "presence": "“is there a …?” of the class",
    "what_at": "“what is at the …?” of the place of the picture's largest thing",
}


def _forms(forms: list[dict[str, Any]]) -> list[str]:
    if not forms:
        return []
    out = ["", f"#### Asked in other ways: says that the absent thing is there (n = {int(forms[0]['baseline']['n'])})", ""]
    out += ["| asked | where | strength | with the clamp | random feature of equal norm | without a clamp |", "|---|---|---|---|---|---|"]
    for form in forms:
        out += [
            f"| {FORM_NAMES[form['form']]} | {row['scope']} | {row['strength']:g}× | {_cell(row['steered'])} | {_cell(row['random'])} | {_cell(form['baseline'])} |"
            for row in form["rows"]
        ]
    return out


def _reading(results: list[dict[str, Any]]) -> list[str]:
    """What the numbers say, with the numbers."""
    r = results[0]
    by = {(row["scope"], row["strength"]): row for row in r["rows"]}
    gone = {row["what"]: row for row in r["ablation"]["rows"]}
    every = gone["everything"]
    return [
        "### What this says", "",
        f"At {r['hook']}: set on an object's own patches at 4× its maximum a feature makes the model name its class {_bare(by['object', 4.0]['steered']['named'])} of the time "
        f"(random {_bare(by['object', 4.0]['random']['named'])}, negated {_bare(by['object', 4.0]['negated']['named'])}, told {_bare(r['told']['named'])}); on the whole image "
        f"{_bare(by['image', 4.0]['steered']['named'])} at 4× and {_bare(by['image', 8.0]['steered']['named'])} at 8×, at the price of sentences that break.", "",
        "**Why ablating a class's own features removes so little.** A thing's identity is told many times over: "
        f"{every['features']:.0f} features fire on an object's patches, of which {gone['own']['features']:.1f} are its class's own. With these ablated the caption still names the class "
        f"{1 - gone['own']['gone']['share']:.2f} of the time; parts, outlines and features shared with other classes tell it too. It is neither the dictionary's error nor positions "
        f"left out: with everything that fires there ablated it is gone {_bare(every['gone'])} of the time. Of the features that fire there, the 8 whose decoder rows write the "
        f"class's name most remove it {_bare(gone['writers 8']['gone'])} of the time and 16 of them {_bare(gone['writers 16']['gone'])}, where as many others that fire there remove it "
        f"{_bare(gone['writers 8']['gone_control'])} and {_bare(gone['writers 16']['gone_control'])}. Turning the own features round works where ablating them does not: "
        f"{_bare(gone['own ×-1']['gone'])} at −1× what they were, {_bare(gone['own ×-2']['gone'])} at −2×.", "",
        *_reading_of_forms(results),
    ]  # fmt: skip


def _reading_of_forms(results: list[dict[str, Any]]) -> list[str]:
    if not all(r["forms"] for r in results):
        return []

    def at(r: dict[str, Any], form: str, scope: str) -> str:
        rows = next(f["rows"] for f in r["forms"] if f["form"] == form)
        return _bare(next(row for row in rows if (row["scope"], row["strength"]) == (scope, 4.0))["steered"])

    first, *others = results
    elsewhere = "".join(f"; at {r['hook']} {at(r, 'presence', 'object')} and {at(r, 'presence', 'image')}" for r in others)
    return [
        "**Not one wording's effect, but not every question's.** At 4×, at "
        f"{first['hook']}: another wording of the same question names the class as often ({at(first, 'caption', 'object')} on an object's patches, {at(first, 'caption', 'image')} on "
        f"the whole image), and so does asking what stands at the place ({at(first, 'what_at', 'object')} and {at(first, 'what_at', 'image')}). Asked whether the thing is there, "
        f"the model says yes far less often: {at(first, 'presence', 'object')} and {at(first, 'presence', 'image')}{elsewhere}. So a clamp that makes the model speak of a thing need "
        "not make it hold that the thing is there: a question after one thing is answered by what its words read in the lowest blocks (*Where a question is answered*, above).", "",
    ]  # fmt: skip


def markdown(results: list[dict[str, Any]], question: str) -> str:
    """The whole page."""
    return "\n".join([*_introduction(question), *_reading(results), *[line for r in results for line in _hook(r)]])
