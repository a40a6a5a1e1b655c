import type { VariantProps } from "class-variance-authority";
import Link from "next/link";
import type { ComponentProps } from "react";
import { buttonStyles } from "./button";
import { cn } from "./cn";

interface LinkButtonProps extends ComponentProps<typeof Link>, VariantProps<typeof buttonStyles> {}

/** A link that looks like a button. */
export function LinkButton({ className, variant, size, ...props }: LinkButtonProps) {
  return <Link className={cn(buttonStyles({ variant, size }), className)} {...props} />;
}
