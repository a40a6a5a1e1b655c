"use client";
import { Camera as CameraIcon } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogTrigger } from "@/components/ui/dialog";
import type { FacetError } from "@/lib/core/errors";
import { cameraError, noCameraHere } from "./camera-words";

interface CameraProps {
  onPicture: (picture: File) => void;
}

/** Takes a picture with the device's camera; the camera is on only while the dialog is open. */
export function Camera({ onPicture }: CameraProps) {
  const [open, setOpen] = useState(false);
  return (
    <Dialog open={open} onOpenChange={setOpen}>
      <DialogTrigger asChild>
        <Button size="sm">
          <CameraIcon aria-hidden />
          Camera
        </Button>
      </DialogTrigger>
      <DialogContent title="Take a picture" className="w-[min(40rem,calc(100vw-2rem))]">
        <Viewfinder
          onPicture={(picture) => {
            setOpen(false);
            onPicture(picture);
          }}
        />
      </DialogContent>
    </Dialog>
  );
}

function Viewfinder({ onPicture }: CameraProps) {
  const video = useRef<HTMLVideoElement>(null);
  const file = useRef<HTMLInputElement>(null);
  const [ready, setReady] = useState(false);
  const [error, setError] = useState<FacetError | null>(null);
  const [attempt, setAttempt] = useState(0);

  // The camera is outside React: asked for when the dialog opens, let go when it closes.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt asks anew
  useEffect(() => {
    let current = true;
    let stream: MediaStream | null = null;
    const release = () => {
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    const ask = async () => {
      if (!navigator.mediaDevices?.getUserMedia) throw noCameraHere();
      stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: "environment", width: { ideal: 1_536 } } });
      if (!current) return release();
      if (video.current) video.current.srcObject = stream;
    };
    ask().catch((cause) => {
      release();
      if (current) setError("fix" in Object(cause) ? cause : cameraError(cause));
    });
    return () => {
      current = false;
      release();
    };
  }, [attempt]);

  const take = async () => {
    const source = video.current;
    if (!source?.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = source.videoWidth;
    canvas.height = source.videoHeight;
    canvas.getContext("2d")?.drawImage(source, 0, 0);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
    if (blob) onPicture(new File([blob], "camera.png", { type: blob.type }));
  };

  if (error) {
    return (
      <div className="mt-4">
        <p role="alert" className="text-bad">
          {error.message} {error.fix}
        </p>
        <div className="mt-4 flex flex-wrap gap-2">
          <Button
            onClick={() => {
              setError(null);
              setReady(false);
              setAttempt(attempt + 1);
            }}
          >
            Try again
          </Button>
          {/* A phone opens its own camera for this, also where pages get none. */}
          <Button onClick={() => file.current?.click()}>Use the device's own camera or a file</Button>
          <input
            ref={file}
            type="file"
            accept="image/*"
            capture="environment"
            tabIndex={-1}
            aria-label="Take a picture with the device's own camera"
            className="sr-only"
            onChange={(event) => {
              const picture = event.target.files?.[0];
              if (picture) onPicture(picture);
            }}
          />
        </div>
      </div>
    );
  }
  return (
    <div className="mt-4 flex flex-col gap-4">
      <video
        ref={video}
        autoPlay
        playsInline
        muted
        aria-label="What the camera sees"
        onLoadedData={() => setReady(true)}
        className="aspect-video max-h-[55vh] w-full rounded-lg bg-sunken object-contain"
      />
      <div className="flex items-center gap-3">
        <Button variant="primary" disabled={!ready} onClick={() => void take()}>
          Take the picture
        </Button>
        <p role="status" className="text-muted text-sm">
          {ready ? "" : "Waiting for the camera…"}
        </p>
      </div>
    </div>
  );
}
