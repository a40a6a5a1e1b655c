"use client";
import { ImageUp } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Camera } from "@/components/steer/camera";
import { picturesIn } from "@/components/steer/prepare-upload";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { Input } from "@/components/ui/input";
import { asFacetError, FacetError } from "@/lib/core/errors";

/** A picture at an address of this very server; others would be told of the visit. Throws `invalid_request`, `image_not_found`. */
async function pictureAt(text: string): Promise<File> {
  const url = URL.canParse(text, location.href) ? new URL(text, location.href) : null;
  if (url?.origin !== location.origin) {
    throw new FacetError("invalid_request", "The address is of another server, which this page asks nothing.", {
      fix: "Save the picture and choose the file.",
    });
  }
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) throw new FacetError("image_not_found", "There is no picture at this address.", { fix: "Check the address." });
  const blob = await answer.blob().catch(() => null);
  if (!blob) throw new FacetError("image_not_found", "The picture did not arrive whole.", { fix: "Try again." });
  return new File([blob], url.pathname.split("/").at(-1) || "picture");
}

interface PictureDropProps {
  picture: File | null;
  onPicture: (picture: File) => void;
}

/** Where a picture comes in: dropped, pasted, chosen, taken with the camera, or from an address of this server. */
export function PictureDrop({ picture, onPicture }: PictureDropProps) {
  const file = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [address, setAddress] = useState("");
  const [error, setError] = useState<FacetError | null>(null);
  const take = (pictures: File[]) => {
    setError(null);
    if (pictures[0]) onPicture(pictures[0]);
  };
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const pictures = picturesIn(event.clipboardData);
      if (pictures.length === 0 || event.defaultPrevented) return;
      event.preventDefault();
      latest.current(pictures);
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  }, []);
  return (
    <section
      aria-label="Your picture"
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(picturesIn(event.dataTransfer));
      }}
      className={cn(
        "flex flex-wrap items-center gap-x-3 gap-y-2 rounded-lg border border-line border-dashed text-sm",
        picture ? "px-3 py-2" : "px-4 py-8",
        over && "border-accent bg-accent-soft",
      )}
    >
      <p className="grow basis-48">{picture ? <span className="break-all">{picture.name}</span> : "Drop a picture here, paste one, or"}</p>
      <Button variant={picture ? "secondary" : "primary"} size="sm" onClick={() => file.current?.click()}>
        <ImageUp aria-hidden />
        {picture ? "Another picture" : "Choose a picture"}
      </Button>
      <input
        ref={file}
        type="file"
        accept="image/*"
        className="hidden"
        tabIndex={-1}
        aria-hidden="true"
        onChange={(event) => {
          take([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <Camera onPicture={(taken) => take([taken])} />
      <form
        className="flex min-w-0 grow basis-72 items-center gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          pictureAt(address).then(
            (found) => take([found]),
            (thrown: unknown) => setError(asFacetError(thrown)),
          );
        }}
      >
        <Input
          aria-label="Address of a picture on this server"
          placeholder="Address of a picture on this server"
          value={address}
          onChange={(event) => setAddress(event.target.value)}
          className="h-8 min-w-0 grow"
        />
        <Button type="submit" size="sm" disabled={address.trim() === ""}>
          Look
        </Button>
      </form>
      {error && (
        <p role="alert" className="w-full">
          {error.message} {error.fix}
        </p>
      )}
    </section>
  );
}
