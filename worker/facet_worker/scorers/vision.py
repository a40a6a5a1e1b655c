"""CLIP, Grounding DINO and SAM from local checkpoints through Transformers; safetensors only, and no code from a hub is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor, CLIPModel, SamModel

from facet_worker.errors import FacetError
from facet_worker.loading import weights_sha256

BATCH = 32


def _load(kind: Any, folder: Path, device: str) -> tuple[Any, Any]:
    if not folder.is_dir():
        raise FacetError(f"There is no checkpoint {folder}.", "not_found", fix="Name the folder of a downloaded checkpoint.")
    try:
        model = kind.from_pretrained(folder, use_safetensors=True, trust_remote_code=False, local_files_only=True)
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise FacetError(f"{folder} holds no such checkpoint: {error}", "file_invalid", fix="Name a complete one.") from error
    return model.eval().requires_grad_(False).to(device), processor


def _features(found: Any) -> npt.NDArray[np.float32]:
    # Newer versions answer with the tower's whole output, the projected vector as its pooled one.
    vectors = found if isinstance(found, Tensor) else found.pooler_output
    return np.asarray(vectors.float().cpu(), np.float32)


class Clip:
    """A CLIP checkpoint's two towers."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Throws `not_found` or `file_invalid`."""
        self.name, self.device = folder.name, device
        self.model, self.processor = _load(CLIPModel, folder, device)
        self.sha256 = weights_sha256(folder)
        self._texts: dict[str, npt.NDArray[np.float32]] = {}

    @torch.inference_mode()
    def images(self, pictures: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Embeddings [n, D], not normalised."""
        out = []
        for start in range(0, len(pictures), BATCH):
            inputs = self.processor(images=list(pictures[start : start + BATCH]), return_tensors="pt").to(self.device)
            out.append(_features(self.model.get_image_features(pixel_values=inputs["pixel_values"])))
        return np.concatenate(out)

    @torch.inference_mode()
    def text(self, words: str) -> npt.NDArray[np.float32]:
        """An embedding [D]; what is longer than the model reads is cut off."""
        if words not in self._texts:
            longest = self.model.config.text_config.max_position_embeddings
            inputs = self.processor(text=[words], return_tensors="pt", truncation=True, max_length=longest).to(self.device)
            found = self.model.get_text_features(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            self._texts[words] = _features(found)[0]
        return self._texts[words]


class Grounder:
    """Where in a picture a label is: boxes by Grounding DINO, a mask in each by SAM, joined."""

    def __init__(self, detector: Path, segmenter: Path, device: str = "cpu", threshold: float = 0.25) -> None:
        """`threshold`: least confidence of a box. Throws `not_found` or `file_invalid`."""
        self.device, self.threshold = device, threshold
        self.detector, self.detect_inputs = _load(AutoModelForZeroShotObjectDetection, detector, device)
        self.segmenter, self.segment_inputs = _load(SamModel, segmenter, device)
        self.name = f"{detector.name} + {segmenter.name}"
        self.sha256 = {"detector": weights_sha256(detector), "segmenter": weights_sha256(segmenter)}

    @torch.inference_mode()
    def boxes(self, picture: Image.Image, label: str) -> npt.NDArray[np.float32]:
        """Boxes [n, 4], left, top, right, bottom in pixels; the surest first."""
        # The detector was trained on lower-case phrases that end with a full stop.
        inputs = self.detect_inputs(images=picture, text=f"{label.lower().strip(' .')}.", return_tensors="pt").to(self.device)
        outputs = self.detector(**inputs)
        if not torch.isfinite(outputs.pred_boxes).all():
            raise FacetError("The detector's boxes are not finite.", "engine_failed")
        found = self.detect_inputs.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], threshold=self.threshold, target_sizes=[picture.size[::-1]]
        )[0]
        order = found["scores"].argsort(descending=True)
        return np.asarray(found["boxes"][order].float().cpu(), np.float32)

    @torch.inference_mode()
    def segment(self, picture: Image.Image, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """The joined mask [height, width] of what stands in the boxes; empty where there are none."""
        if not len(boxes):
            return np.zeros(picture.size[::-1], np.bool_)
        inputs = self.segment_inputs(picture, input_boxes=[boxes.astype(float).tolist()], return_tensors="pt")
        sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
        inputs = {name: value.to(self.device, torch.float32) for name, value in inputs.items() if name in ("pixel_values", "input_boxes")}
        outputs = self.segmenter(**inputs, multimask_output=False)
        masks = self.segment_inputs.image_processor.post_process_masks(outputs.pred_masks.cpu(), *(size.tolist() for size in sizes))[0]
        return np.asarray(masks.bool().any(0).any(0))

    def mask(self, picture: Image.Image, label: str) -> npt.NDArray[np.bool_]:
        """Where the label is in the picture [height, width]; nowhere where it is not found."""
        return self.segment(picture, self.boxes(picture, label))
