"use client";
import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "./cn";

export const Dialog = Radix.Root;
export const DialogTrigger = Radix.Trigger;
export const DialogClose = Radix.Close;

interface DialogContentProps {
  title: string;
  description?: ReactNode;
  /** Keeps title and description for screen readers only. */
  bare?: boolean;
  className?: string;
  children: ReactNode;
}

export function DialogContent({ title, description, bare = false, className, children }: DialogContentProps) {
  return (
    <Radix.Portal>
      <Radix.Overlay className="fixed inset-0 z-40 bg-black/50" />
      <Radix.Content
        aria-describedby={description ? undefined : ""}
        className={cn(
          "fixed top-[12vh] left-1/2 z-50 max-h-[80vh] w-[min(36rem,calc(100vw-2rem))] -translate-x-1/2 overflow-auto rounded-xl bg-raised text-ink shadow-2xl ring-1 ring-line",
          !bare && "p-6",
          className,
        )}
      >
        <Radix.Title className={bare ? "sr-only" : "pr-10 font-semibold text-lg"}>{title}</Radix.Title>
        {description && <Radix.Description className={bare ? "sr-only" : "mt-1 text-muted text-sm"}>{description}</Radix.Description>}
        {!bare && (
          <Radix.Close
            aria-label="Close"
            className="absolute top-4 right-4 inline-flex size-10 items-center justify-center rounded-md text-muted hover:bg-sunken hover:text-ink"
          >
            <X className="size-5" />
          </Radix.Close>
        )}
        {children}
      </Radix.Content>
    </Radix.Portal>
  );
}
