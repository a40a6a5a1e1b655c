import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "./button";
import { cn } from "./cn";

export interface ErrorStateProps {
  /** As the API answers it. */
  error: { code?: string; message: string; fix?: string; retry?: boolean };
  /** Shown as "Try again" where a repeat can help. */
  onRetry?: () => void;
  action?: ReactNode;
  /** It is all that the page says: the message is the page's heading. */
  page?: boolean;
  className?: string;
}

/** What happened, and what to do. */
export function ErrorState({ error, onRetry, action, page = false, className }: ErrorStateProps) {
  const Title = page ? "h1" : "p";
  return (
    <div
      role="alert"
      className={cn("mx-auto flex max-w-md flex-col items-center gap-3 px-4 py-12 text-center", page && "grow justify-center", className)}
    >
      <TriangleAlert className="size-8 text-bad" aria-hidden />
      <Title className="font-semibold">{error.message}</Title>
      {error.fix && <p className="text-muted text-sm">{error.fix}</p>}
      {onRetry && error.retry !== false && <Button onClick={onRetry}>Try again</Button>}
      {action}
      {error.code && <p className="font-mono text-faint text-xs">{error.code}</p>}
    </div>
  );
}
