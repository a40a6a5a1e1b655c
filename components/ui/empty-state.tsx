import type { ReactNode } from "react";
import { cn } from "./cn";

interface EmptyStateProps {
  title: string;
  /** What would be here. */
  children?: ReactNode;
  /** The one action that brings it. */
  action?: ReactNode;
  icon?: ReactNode;
  /** It is all that the page says: its title is the page's heading. */
  page?: boolean;
  className?: string;
}

export function EmptyState({ title, children, action, icon, page = false, className }: EmptyStateProps) {
  const Title = page ? "h1" : "p";
  return (
    <div
      className={cn("mx-auto flex max-w-md flex-col items-center gap-3 px-4 py-12 text-center", page && "grow justify-center", className)}
    >
      {icon && <div className="text-faint [&_svg]:size-8">{icon}</div>}
      <Title className="font-semibold">{title}</Title>
      {children && <div className="text-muted text-sm">{children}</div>}
      {action}
    </div>
  );
}
