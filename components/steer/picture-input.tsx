"use client";
import { useQuery } from "@tanstack/react-query";
import { ImagePlus, ImageUp, X } from "lucide-react";
import Link from "next/link";
import { type DragEvent, useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { IconButton } from "@/components/ui/icon-button";
import { Skeleton } from "@/components/ui/skeleton";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import { routes } from "@/lib/core/routes";
import type { LinkedImage } from "@/lib/core/steer-link";
import { PicturePicker } from "./picture-picker";
import { pictureIn, prepareUpload } from "./prepare-upload";
import type { Problem, SteerAction, Turn } from "./state";
import type { Upload } from "./upload-store";

interface PictureInputProps {
  turn: Turn;
  dictionary: string;
  uploads: { found: Record<string, Upload | null>; add: (upload: Upload) => Promise<boolean> };
  problem: Problem | undefined;
  send: (action: SteerAction) => void;
}

/** The request's picture: of the catalogue, or uploaded, pasted or dropped. */
export function PictureInput({ turn, dictionary, uploads, problem, send }: PictureInputProps) {
  const file = useRef<HTMLInputElement>(null);
  const uploadButton = useRef<HTMLButtonElement>(null);
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<FacetError | null>(null);
  const [note, setNote] = useState<string | null>(null);

  const take = async (picture: File | null) => {
    if (!picture) return;
    setBusy(true);
    setError(null);
    setNote(null);
    try {
      const { changed, ...upload } = await prepareUpload(picture);
      const kept = await uploads.add(upload);
      send({ type: "image-set", turn: turn.id, image: { sha256: upload.sha256, upload: true } });
      setNote([changed, kept ? null : "This browser does not keep it beyond this page."].filter(Boolean).join(" ") || null);
    } catch (cause) {
      setError(asFacetError(cause));
    } finally {
      setBusy(false);
    }
  };
  const latest = useRef(take);
  latest.current = take;

  // A picture may be pasted anywhere on the page; text goes where the focus is.
  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const picture = pictureIn(event.clipboardData);
      if (!picture) return;
      event.preventDefault();
      void latest.current(picture);
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  }, []);

  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void take(pictureIn(event.dataTransfer));
  };

  return (
    <section
      aria-label="Picture"
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={cn("rounded-lg", over && "outline-2 outline-accent outline-dashed outline-offset-4")}
    >
      {turn.images.length ? (
        turn.images.map((image) => (
          <Picture
            key={image.sha256}
            image={image}
            dictionary={dictionary}
            upload={uploads.found[image.sha256]}
            onRemove={() => {
              uploadButton.current?.focus();
              send({ type: "image-remove", turn: turn.id, sha256: image.sha256 });
            }}
          />
        ))
      ) : (
        <div className="flex aspect-square max-h-72 w-full flex-col items-center justify-center gap-2 rounded-lg bg-sunken p-4 text-center max-lg:aspect-video">
          <ImagePlus className="size-8 text-faint" aria-hidden />
          <p className="text-muted text-sm">Choose, drop or paste a picture, or ask without one.</p>
        </div>
      )}
      <div className="mt-2 flex flex-wrap gap-2">
        <PicturePicker
          chosen={turn.images[0]?.sha256 ?? null}
          onPick={(sha256) => {
            setNote(null);
            setError(null);
            send({ type: "image-set", turn: turn.id, image: { sha256, upload: false } });
          }}
        />
        <Button ref={uploadButton} size="sm" onClick={() => file.current?.click()} disabled={busy}>
          <ImageUp aria-hidden />
          {busy ? "Reading…" : "Upload"}
        </Button>
        <input
          ref={file}
          type="file"
          accept="image/*"
          tabIndex={-1}
          aria-label="Upload a picture"
          className="sr-only"
          onChange={(event) => {
            void take(event.target.files?.[0] ?? null);
            event.target.value = "";
          }}
        />
      </div>
      <div aria-live="polite">
        {note && <p className="mt-2 text-muted text-sm">{note}</p>}
        {error && (
          <p className="mt-2 text-bad text-sm">
            {error.message} {error.fix}
          </p>
        )}
        {problem && <p className="mt-2 text-bad text-sm">{problem.message}</p>}
      </div>
    </section>
  );
}

interface PictureProps {
  image: LinkedImage;
  dictionary: string;
  upload: Upload | null | undefined;
  onRemove: () => void;
}

function Picture({ image, dictionary, upload, onRemove }: PictureProps) {
  const info = useQuery({ ...imageInfoQueryOptions(image.sha256), enabled: !image.upload });
  const src = image.upload ? upload?.dataUrl : routes.api.image(image.sha256);
  const alt = image.upload ? `Uploaded picture ${upload?.name ?? ""}` : (info.data?.caption ?? "Picture of the catalogue");
  return (
    <figure className="mb-2">
      <div className="relative overflow-hidden rounded-lg bg-sunken">
        {src ? (
          // biome-ignore lint/performance/noImgElement: content-addressed or of this browser; nothing to optimise
          <img src={src} alt={alt} className="aspect-square max-h-72 w-full object-contain" />
        ) : upload === undefined ? (
          <Skeleton className="aspect-square max-h-72 w-full rounded-none" />
        ) : (
          <p className="flex aspect-square max-h-72 w-full items-center justify-center p-4 text-center text-muted text-sm">
            Uploaded elsewhere, not in this browser
          </p>
        )}
        <IconButton
          label="Remove the picture"
          size="sm"
          className="absolute top-2 right-2 bg-raised shadow ring-1 ring-line"
          onClick={onRemove}
        >
          <X />
        </IconButton>
      </div>
      <figcaption className="mt-1 text-muted text-sm">
        {image.upload ? (
          <span className="break-words">
            {upload?.name ?? "uploaded"} · <span className="font-mono text-xs">{image.sha256.slice(0, 12)}</span>
          </span>
        ) : info.error ? (
          <span className="text-bad">{info.error.message}</span>
        ) : (
          <>
            <span dir="auto">{info.data?.caption}</span>{" "}
            <Link href={routes.image(image.sha256, { dictionary })} className="text-accent underline underline-offset-4">
              what fires on it
            </Link>
          </>
        )}
      </figcaption>
    </figure>
  );
}
