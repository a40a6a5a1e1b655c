"use client";
import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import Link from "next/link";
import { cn } from "@/components/ui/cn";
import { IconButton } from "@/components/ui/icon-button";
import { Skeleton } from "@/components/ui/skeleton";
import { imageInfoQueryOptions } from "@/lib/api/images";
import { inPrint } from "@/lib/core/format";
import { routes } from "@/lib/core/routes";
import type { LinkedImage } from "@/lib/core/steer-link";
import type { Upload } from "./upload-store";

interface TurnPictureProps {
  image: LinkedImage;
  /** Its place among the request's pictures, where there are several. */
  number: number | null;
  small: boolean;
  /** The next picture replaces this one. */
  chosen: boolean;
  onChoose: (() => void) | null;
  dictionary: string;
  /** `undefined` while it is looked for, null where it is not in this browser. */
  upload: Upload | null | undefined;
  onRemove: () => void;
}

/** One picture of a request, with what it is. */
export function TurnPicture({ image, number, small, chosen, onChoose, dictionary, upload, onRemove }: TurnPictureProps) {
  const info = useQuery({ ...imageInfoQueryOptions(image.sha256), enabled: !image.upload });
  const caption = inPrint(info.data?.caption);
  const src = image.upload ? upload?.dataUrl : routes.api.image(image.sha256);
  const alt = image.upload ? `Uploaded picture ${upload?.name ?? ""}` : (caption ?? "Picture of the catalogue");
  const shape = cn("aspect-square w-full object-contain", small ? "max-h-40" : "max-h-72");
  // biome-ignore lint/performance/noImgElement: content-addressed or of this browser; nothing to optimise
  const picture = src && <img src={src} alt={alt} className={shape} />;
  return (
    <figure className="mb-2">
      <div className={cn("relative overflow-hidden rounded-lg bg-sunken", chosen && "ring-2 ring-accent")}>
        {picture ? (
          onChoose ? (
            <button
              type="button"
              aria-pressed={chosen}
              onClick={onChoose}
              className="block w-full"
              title="Choose or upload replaces this one"
            >
              {picture}
            </button>
          ) : (
            picture
          )
        ) : upload === undefined ? (
          <Skeleton className={cn(shape, "rounded-none")} />
        ) : (
          <p className={cn("flex items-center justify-center p-4 text-center text-muted text-sm", shape)}>
            Uploaded elsewhere, not in this browser
          </p>
        )}
        {number !== null && (
          <span className="num absolute top-2 left-2 rounded bg-raised px-1.5 text-sm shadow ring-1 ring-line">
            <span className="sr-only">Picture </span>
            {number}
          </span>
        )}
        <IconButton
          label={number === null ? "Remove the picture" : `Remove picture ${number}`}
          size="sm"
          className="absolute top-2 right-2 bg-raised shadow ring-1 ring-line"
          onClick={onRemove}
        >
          <X />
        </IconButton>
      </div>
      <figcaption className={cn("mt-1 text-muted text-sm", small && "line-clamp-3")}>
        {image.upload ? (
          <span className="break-words">
            {upload?.name ?? "uploaded"} · <span className="font-mono text-xs">{image.sha256.slice(0, 12)}</span>
          </span>
        ) : info.error ? (
          <span className="text-bad">{info.error.message}</span>
        ) : (
          <>
            <span dir="auto">{caption}</span>{" "}
            <Link href={routes.image(image.sha256, { dictionary })} className="text-accent underline underline-offset-4">
              what fires on it
            </Link>
          </>
        )}
      </figcaption>
    </figure>
  );
}
