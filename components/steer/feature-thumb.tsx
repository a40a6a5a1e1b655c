import { ImageOff } from "lucide-react";
import { ExamplePicture } from "@/components/heatmap/example-picture";
import { cn } from "@/components/ui/cn";
import type { ImageExample } from "@/lib/core/records";

/** The picture on which a feature fires most, with its heat; a quiet mark where it fires on none. */
export function FeatureThumb({ example, size, className }: { example: ImageExample | null | undefined; size: number; className?: string }) {
  return (
    <span className={cn("block shrink-0 overflow-hidden rounded bg-sunken", className)} style={{ width: size, height: size }}>
      {example ? (
        <ExamplePicture example={example} max={null} size={size} />
      ) : (
        <span className="flex size-full items-center justify-center text-faint">
          <ImageOff className="size-4" aria-hidden />
        </span>
      )}
    </span>
  );
}
