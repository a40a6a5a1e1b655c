"use client";
import { ImageUp, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Camera } from "@/components/steer/camera";
import { PicturePicker } from "@/components/steer/picture-picker";
import { picturesIn } from "@/components/steer/prepare-upload";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { Input } from "@/components/ui/input";
import { asFacetError, FacetError } from "@/lib/core/errors";
import { isStatic } from "@/lib/core/routes";
import { uprightWebp } from "@/lib/engine/web/upright-webp";
import { cataloguePicture, ownPicture, type Picture } from "./use-picture";

const addressName = `Address of a picture on this ${isStatic ? "site" : "server"}`;

/** A picture at an address of this very server; others would be told of the visit. Throws `invalid_request`, `image_not_found`. */
async function pictureAt(text: string): Promise<Picture | File> {
  const url = URL.canParse(text, location.href) ? new URL(text, location.href) : null;
  if (url?.origin !== location.origin) {
    throw new FacetError("invalid_request", "The address is of another server, which this page asks nothing.", {
      fix: "Save the picture and choose the file.",
    });
  }
  const hash = /^\/(?:i|api\/images)\/([0-9a-f]{64})$/.exec(url.pathname)?.[1];
  if (hash) return cataloguePicture(hash);
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) throw new FacetError("image_not_found", "There is no picture at this address.", { fix: "Check the address." });
  const blob = await answer.blob().catch(() => null);
  if (!blob) throw new FacetError("image_not_found", "The picture did not arrive whole.", { fix: "Try again." });
  return new File([blob], url.pathname.split("/").at(-1) || "picture");
}

interface PicturePlaceProps {
  /** Read aloud for the place. */
  label: string;
  picture: Picture | null;
  /** What the picture is called. */
  name: string | null;
  onPicture: (picture: Picture) => void;
  /** The page goes on without a picture; where it cannot, absent. */
  onRemove?: () => void;
  /** Says what to do while there is none. */
  children: string;
  /** The second of two: a pasted picture comes here while it is free, and the ways in are fewer. */
  second?: boolean;
  /** No picture is needed. */
  quiet?: boolean;
}

/** Where a picture comes in: dropped, pasted, chosen, taken with the camera, from an address of this server, or from the catalogue. */
export function PicturePlace({ label, picture, name, onPicture, onRemove, children, second = false, quiet = false }: PicturePlaceProps) {
  const file = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [address, setAddress] = useState("");
  const [error, setError] = useState<FacetError | null>(null);
  const put = (next: Picture) => {
    setError(null);
    onPicture(next);
  };
  const takes = useRef(0);
  const take = async ([first]: readonly File[]) => {
    if (!first) return;
    const mine = ++takes.current;
    const turned = await uprightWebp(first);
    // Another one may have come meanwhile.
    if (mine === takes.current) put(ownPicture(turned ? new File([turned], first.name, { type: turned.type }) : first));
  };
  const latest = useRef(take);
  latest.current = take;
  const listens = !second || picture === null;
  useEffect(() => {
    if (!listens) return;
    const paste = (event: ClipboardEvent) => {
      const pictures = picturesIn(event.clipboardData);
      if (pictures.length === 0 || event.defaultPrevented) return;
      event.preventDefault();
      void latest.current(pictures);
    };
    // A second place hears of it before the first.
    document.addEventListener("paste", paste, second);
    return () => document.removeEventListener("paste", paste, second);
  }, [listens, second]);
  return (
    <section
      aria-label={label}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void take(picturesIn(event.dataTransfer));
      }}
      className={cn(
        "flex flex-wrap items-center gap-x-3 gap-y-2 rounded-lg border border-line border-dashed text-sm",
        picture || quiet ? "px-3 py-2" : "px-4 py-8",
        over && "border-accent bg-accent-soft",
      )}
    >
      <p className="min-w-0 grow basis-48">
        {picture ? (
          <span dir="auto" className="line-clamp-2 break-words">
            {name}
          </span>
        ) : (
          children
        )}
      </p>
      <Button variant={picture || quiet ? "secondary" : "primary"} size="sm" onClick={() => file.current?.click()}>
        <ImageUp aria-hidden />
        {picture ? `Another ${second ? "second " : ""}picture` : `Choose a ${second ? "second " : ""}picture`}
      </Button>
      <input
        ref={file}
        type="file"
        accept="image/*"
        aria-label={`${label}: the file`}
        className="hidden"
        tabIndex={-1}
        onChange={(event) => {
          void take([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <PicturePicker chosen={picture?.kind === "catalogue" ? picture.id : null} onPick={(hash) => put(cataloguePicture(hash))}>
        From the catalogue
      </PicturePicker>
      {picture && onRemove && (
        <Button variant="ghost" size="sm" onClick={onRemove}>
          <X aria-hidden />
          Without a picture
        </Button>
      )}
      {!second && (
        <>
          <Camera onPicture={(taken) => void take([taken])} />
          <form
            className="flex min-w-0 grow basis-72 items-center gap-2"
            onSubmit={(event) => {
              event.preventDefault();
              pictureAt(address).then(
                (found) => (found instanceof File ? take([found]) : put(found)),
                (thrown: unknown) => setError(asFacetError(thrown)),
              );
            }}
          >
            <Input
              aria-label={addressName}
              placeholder={addressName}
              value={address}
              onChange={(event) => setAddress(event.target.value)}
              className="h-8 min-w-0 grow"
            />
            <Button type="submit" size="sm" disabled={address.trim() === ""}>
              Look
            </Button>
          </form>
        </>
      )}
      {error && (
        <p role="alert" className="w-full">
          {error.message} {error.fix}
        </p>
      )}
    </section>
  );
}
