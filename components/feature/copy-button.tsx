"use client";
import { Check, TriangleAlert } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button } from "@/components/ui/button";

interface CopyButtonProps {
  /** Asked for when pressed: the address may have changed since it was drawn. */
  text: () => string;
  icon: ReactNode;
  children: ReactNode;
}

/** Copies, and says in its own place that it did. */
export function CopyButton({ text, icon, children }: CopyButtonProps) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  const press = async () => {
    const done = await copy(text());
    setState(done ? "copied" : "failed");
    setTimeout(() => setState("idle"), 2000);
  };
  return (
    <Button size="sm" onClick={press}>
      {state === "copied" ? <Check aria-hidden /> : state === "failed" ? <TriangleAlert aria-hidden /> : icon}
      {/* Both texts hold the place, so that the row does not move. */}
      <span className="grid">
        <span className={state === "idle" ? "col-start-1 row-start-1" : "invisible col-start-1 row-start-1"}>{children}</span>
        <span role="status" className="col-start-1 row-start-1">
          {state === "copied" ? "Copied" : state === "failed" ? "Not allowed" : ""}
        </span>
      </span>
    </Button>
  );
}

/** Without a secure context there is no clipboard interface; a selected field and the old command still work. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.style.position = "fixed";
    field.style.opacity = "0";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
