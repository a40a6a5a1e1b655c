"use client";
import { Switch as Radix } from "radix-ui";
import { type ReactNode, useId } from "react";

interface SwitchProps {
  checked: boolean;
  onChange: (checked: boolean) => void;
  /** The visible label, after the switch. */
  children: ReactNode;
  disabled?: boolean;
}

export function Switch({ checked, onChange, children, disabled }: SwitchProps) {
  const id = useId();
  return (
    <span className="inline-flex items-center gap-2">
      <Radix.Root
        id={id}
        checked={checked}
        onCheckedChange={onChange}
        disabled={disabled}
        className="h-5 w-9 shrink-0 rounded-full bg-line p-0.5 ring-1 ring-faint ring-inset transition-colors duration-100 disabled:opacity-50 data-[state=checked]:bg-accent data-[state=checked]:ring-accent"
      >
        <Radix.Thumb className="block size-4 rounded-full bg-raised shadow transition-transform duration-100 data-[state=checked]:translate-x-4" />
      </Radix.Root>
      <label htmlFor={id} className="text-sm">
        {children}
      </label>
    </span>
  );
}
