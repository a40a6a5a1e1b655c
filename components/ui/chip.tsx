import { X } from "lucide-react";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "./cn";

interface ChipProps extends Omit<ComponentProps<"button">, "onToggle"> {
  /** Whether the choice is on; leave out for a plain action. */
  pressed?: boolean;
  icon?: ReactNode;
  /** Shown after the text in a quieter tone. */
  count?: string;
}

/** A small choice or action. */
export function Chip({ pressed, icon, count, className, children, ...props }: ChipProps) {
  return (
    <button
      type="button"
      aria-pressed={pressed}
      className={cn(
        "inline-flex min-h-8 items-center gap-1.5 rounded-full px-3 text-sm ring-1 ring-inset transition-colors duration-100 disabled:opacity-50 [&_svg]:size-3.5 [&_svg]:shrink-0",
        pressed ? "bg-accent-soft text-accent ring-accent" : "bg-raised text-ink ring-line hover:bg-sunken",
        className,
      )}
      {...props}
    >
      {icon}
      {children}
      {count !== undefined && <span className={cn("num text-xs", pressed ? "text-accent" : "text-muted")}>{count}</span>}
    </button>
  );
}

/** A chip that stands for something active; the whole of it removes it. */
export function RemovableChip({ onRemove, children, label }: { onRemove: () => void; children: ReactNode; label: string }) {
  return (
    <button
      type="button"
      onClick={onRemove}
      aria-label={`Remove ${label}`}
      className="inline-flex min-h-8 items-center gap-1.5 rounded-full bg-accent-soft px-3 text-accent text-sm hover:ring-1 hover:ring-accent hover:ring-inset"
    >
      {children}
      <X className="size-3.5" aria-hidden />
    </button>
  );
}
