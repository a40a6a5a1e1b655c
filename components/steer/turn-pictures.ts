/** Pictures of the turns, and what a change of them means for clamps that lie on painted cells of one. */
import type { LinkedClamp, LinkedImage } from "@/lib/core/steer-link";

interface WithPictures {
  id: number;
  images: LinkedImage[];
}

export interface PlacedPicture {
  turn: number;
  image: LinkedImage;
}

/** All pictures of a request in the order in which the model is given them: the place of each is what a region scope names. */
export const picturesOf = (turns: readonly WithPictures[]): PlacedPicture[] =>
  turns.flatMap(({ id, images }) => images.map((image) => ({ turn: id, image })));

/** A turn's pictures with one put at a place: over the one that is there, or after the last. One that the turn has already stays where it is. */
export function withPicture(images: readonly LinkedImage[], image: LinkedImage, at: number): LinkedImage[] {
  if (images.some(({ sha256 }, i) => sha256 === image.sha256 && i !== at)) return [...images];
  return at < images.length ? images.with(at, image) : [...images, image];
}

/**
 * Clamps after the pictures have changed: painted cells go along with their picture where it has another place now. Cells of a picture that
 * another has replaced, or that was removed, keep their place.
 */
export function followPictures<T extends LinkedClamp>(clamps: T[], before: readonly WithPictures[], after: readonly WithPictures[]): T[] {
  const key = ({ turn, image }: PlacedPicture) => `${turn} ${image.sha256}`;
  const places = new Map(picturesOf(after).map((picture, place) => [key(picture), place]));
  const moves = new Map(picturesOf(before).map((picture, place) => [place, places.get(key(picture)) ?? place]));
  return clamps.map((clamp) => {
    const { scope } = clamp;
    if (scope.type !== "region") return clamp;
    const image = moves.get(scope.image) ?? scope.image;
    return image === scope.image ? clamp : { ...clamp, scope: { ...scope, image } };
  });
}
