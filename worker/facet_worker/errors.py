"""The one exception of this package: its message is a sentence for a person, its code one of the wire contract's."""

from __future__ import annotations

from typing import Any

# (HTTP status, whether the same request may succeed later, what the reader can do): the rows of lib/core/errors.ts that a worker can throw.
ERRORS: dict[str, tuple[int, bool, str]] = {
    "invalid_request": (400, False, "Correct the named field and send the request again."),
    "forbidden": (403, False, "Open Facet under its own address and try there."),
    "not_found": (404, False, "Check the address."),
    "method_not_allowed": (405, False, "/api/openapi.json says how each address is asked."),
    "dictionary_not_found": (404, False, "Choose one that `npm run facet list` or /api/dictionaries names."),
    "feature_not_found": (404, False, "Use an index between 0 and the dictionary's number of latents minus one."),
    "image_not_found": (404, False, "Use the SHA-256 of an image of the catalogue, or upload the image."),
    "version_mismatch": (409, False, "Open the unpinned link, or import the version that the link names."),
    "too_large": (413, False, "Send a smaller body."),
    "unsupported_image": (415, False, "Convert the image to PNG, JPEG or WebP."),
    "unreadable_image": (422, False, "Check that the file is a complete image."),
    "clamp_nowhere": (422, False, "Widen the scope, add an image, or correct the feature's index."),
    "clamp_overlap": (422, False, "Keep one clamp for each feature where scopes overlap."),
    "prompt_empty": (422, False, "Type a question."),
    "prompt_too_long": (422, False, "Shorten the prompt or ask for fewer tokens."),
    "word_unknown": (422, False, "Watch a word that the model knows; its alternatives show some."),
    "engine_unavailable": (503, True, "Start an engine for this model, or pick a dictionary whose engine is ready."),
    "engine_busy": (503, True, "Wait a moment and run again."),
    "engine_failed": (500, True, "Run again; if it fails again, see the server's log."),
    "cancelled": (499, True, "Run again when ready."),
    "file_invalid": (422, False, "Correct the named file; nothing was imported."),
    "format_unknown": (415, False, "docs/formats.md lists the formats that Facet reads."),
    "unsafe_format": (415, False, "Convert the file to safetensors; Facet never unpickles."),
    "internal": (500, True, "Try again; if it fails again, see the server's log."),
}


class FacetError(RuntimeError):
    """Something that the person can mend: a missing file, a model of an unknown shape, a hook that attaches nowhere.

    Parameters
    ----------
    message : a sentence
    code : a key of `ERRORS`
    fix : what to do, where there is something more exact to say than the code's own row does
    retry_after_s : after how many seconds trying again can help, where that is known
    """

    def __init__(self, message: str, code: str = "internal", *, fix: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status, self.retry, usual = ERRORS[code]
        self.fix = fix or usual
        self.retry_after_s = retry_after_s

    def to_json(self) -> dict[str, Any]:
        """The wire form, the same in every answer and in every stream."""
        return {"code": self.code, "message": str(self), "fix": self.fix, "retry": self.retry}
