"use client";
import { ImagePlus, ImageUp, Plus } from "lucide-react";
import { type DragEvent, useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import type { LinkedImage } from "@/lib/core/steer-link";
import { Camera } from "./camera";
import { PicturePicker } from "./picture-picker";
import { picturesIn, prepareUpload } from "./prepare-upload";
import { type Problem, picturesPerTurn, type SteerAction, type Turn } from "./state";
import { TurnPicture } from "./turn-picture";
import type { Upload } from "./upload-store";

export interface PictureInputProps {
  turn: Turn;
  /** The turn's place among the turns that a person wrote, from 1; pasting goes to the first unless the focus is in another. */
  place: number;
  /** Pictures of earlier turns: what comes before this turn's first. */
  before: number;
  dictionary: string;
  uploads: { found: Record<string, Upload | null>; add: (upload: Upload) => Promise<boolean> };
  problem: Problem | undefined;
  send: (action: SteerAction) => void;
}

/** A turn's pictures: of the catalogue, uploaded, pasted, dropped or taken with the camera. */
export function PictureInput({ turn, place, before, dictionary, uploads, problem, send }: PictureInputProps) {
  const file = useRef<HTMLInputElement>(null);
  const uploadButton = useRef<HTMLButtonElement>(null);
  const anotherButton = useRef<HTMLButtonElement>(null);
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState(false);
  const [errors, setErrors] = useState<FacetError[]>([]);
  const [note, setNote] = useState<string | null>(null);
  /** Which of the turn's pictures the next one replaces; the number of them: none, it is added. */
  const [slot, setSlot] = useState(0);
  const first = place === 1;
  const count = turn.images.length;
  const at = Math.min(slot, count);
  /** On later turns a picture is rare: until one is wanted, there is one quiet button. */
  const [wanted, setWanted] = useState(first || count > 0);
  const adding = at === count && count > 0;

  const put = (image: LinkedImage, where: number) => send({ type: "image-set", turn: turn.id, image, at: where });

  const take = async (pictures: File[]) => {
    if (pictures.length === 0) return;
    setWanted(true);
    setBusy(true);
    setErrors([]);
    setNote(null);
    const notes: (string | null)[] = [];
    const failed: FacetError[] = [];
    let where = at;
    for (const picture of pictures) {
      if (where >= picturesPerTurn) {
        notes.push(`A turn holds at most ${picturesPerTurn} pictures; the rest were left out.`);
        break;
      }
      try {
        const { changed, ...upload } = await prepareUpload(picture);
        const kept = await uploads.add(upload);
        if (turn.images.some(({ sha256 }, i) => sha256 === upload.sha256 && i !== where)) notes.push(`“${upload.name}” is here already.`);
        put({ sha256: upload.sha256, upload: true }, where);
        notes.push(changed, kept ? null : "This browser does not keep it beyond this page.");
        // The first takes the place that was chosen; the others are added.
        where = Math.max(where + 1, count);
      } catch (cause) {
        failed.push(asFacetError(cause));
      }
    }
    setSlot(Math.min(at, where));
    setNote([...new Set(notes.filter(Boolean))].join(" ") || null);
    setErrors(failed);
    setBusy(false);
  };
  const latest = useRef(take);
  latest.current = take;

  // A picture may be pasted anywhere on the page; text goes where the focus is.
  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const pictures = picturesIn(event.clipboardData);
      if (pictures.length === 0 || event.defaultPrevented) return;
      const focused = document.activeElement?.closest<HTMLElement>("[data-turn]")?.dataset.turn;
      const mine = focused === undefined ? place === 1 : focused === String(turn.id);
      if (!mine) return;
      event.preventDefault();
      void latest.current(pictures);
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  }, [place, turn.id]);

  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void take(picturesIn(event.dataTransfer));
  };

  return (
    <section
      aria-label={first ? "Picture" : `Picture of question ${place}`}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={cn("rounded-lg", over && "outline-2 outline-accent outline-dashed outline-offset-4")}
    >
      {count > 0 && (
        <ul className={cn(count > 1 && "grid grid-cols-2 gap-2")}>
          {turn.images.map((image, i) => (
            <li key={image.sha256}>
              <TurnPicture
                image={image}
                number={count + before > 1 ? before + i + 1 : null}
                small={count > 1 || !first}
                chosen={count > 1 && at === i}
                onChoose={count > 1 ? () => setSlot(i) : null}
                dictionary={dictionary}
                upload={uploads.found[image.sha256]}
                onRemove={() => {
                  (uploadButton.current ?? anotherButton.current)?.focus();
                  setSlot(0);
                  send({ type: "image-remove", turn: turn.id, sha256: image.sha256 });
                }}
              />
            </li>
          ))}
        </ul>
      )}
      {first && (count === 0 || adding) && (
        <div
          className={cn(
            "flex w-full flex-col items-center justify-center gap-2 rounded-lg bg-sunken p-4 text-center",
            adding ? "min-h-24" : "aspect-square max-h-72 max-lg:aspect-video",
          )}
        >
          <ImagePlus className={cn("text-faint", adding ? "size-6" : "size-8")} aria-hidden />
          <p className="text-muted text-sm">
            {adding ? "Choose, drop or paste another picture." : "Choose, drop or paste a picture, or ask without one."}
          </p>
        </div>
      )}
      {wanted ? (
        <div className="mt-2 flex flex-wrap gap-2">
          <PicturePicker
            chosen={turn.images[at]?.sha256 ?? null}
            onPick={(sha256) => {
              setNote(null);
              setErrors([]);
              put({ sha256, upload: false }, at);
            }}
          />
          {/* Not disabled while it reads: that would drop the focus. */}
          <Button ref={uploadButton} size="sm" aria-disabled={busy} onClick={() => !busy && file.current?.click()}>
            <ImageUp aria-hidden />
            {busy ? "Reading…" : "Upload"}
          </Button>
          <Camera onPicture={(picture) => void take([picture])} />
          {count > 0 && count < picturesPerTurn && !adding && (
            <Button ref={anotherButton} size="sm" variant="ghost" onClick={() => setSlot(count)}>
              <Plus aria-hidden />
              Another
              <span className="sr-only"> picture</span>
            </Button>
          )}
          {adding && (
            <Button size="sm" variant="ghost" onClick={() => setSlot(0)}>
              Cancel
            </Button>
          )}
        </div>
      ) : (
        <Button ref={anotherButton} size="sm" variant="ghost" onClick={() => setWanted(true)}>
          <ImagePlus aria-hidden />
          Add a picture to this question
        </Button>
      )}
      <input
        ref={file}
        type="file"
        accept="image/*"
        multiple
        tabIndex={-1}
        aria-label={first ? "Upload a picture" : `Upload a picture for question ${place}`}
        className="sr-only"
        onChange={(event) => {
          void take(Array.from(event.target.files ?? []));
          event.target.value = "";
        }}
      />
      <div aria-live="polite">
        {note && <p className="mt-2 text-muted text-sm">{note}</p>}
        {errors.map((error) => (
          <p key={error.message} className="mt-2 text-bad text-sm">
            {error.message} {error.fix}
          </p>
        ))}
        {problem && <p className="mt-2 text-bad text-sm">{problem.message}</p>}
      </div>
    </section>
  );
}
