/** A choice between a few values: its label, and the words of each value. */
import { i18n, type MessageDescriptor } from "@lingui/core";
import { type ComponentProps, useId } from "react";

type Words = string | MessageDescriptor;
type Chosen<Value extends string | number, None> = `${Value}` | (None extends string ? "" : never);

interface Props<Value extends string | number, None extends string | undefined>
  extends Omit<ComponentProps<"select">, "value" | "onChange"> {
  label: string;
  /** The label is read aloud only. */
  bare?: boolean;
  /** Class of the label. */
  className?: string;
  value: string | number;
  onChange: (chosen: Chosen<Value, None>) => void;
  of: Readonly<Record<Value, Words>> | readonly (readonly [Value, Words])[];
  /** Words of the option without a value, which stands first. */
  none?: None;
}

export function Select<Value extends string | number, None extends string | undefined = undefined>({
  label,
  bare,
  className = "field",
  onChange,
  of,
  none,
  children,
  ...more
}: Props<Value, None>) {
  const id = useId();
  const options: readonly (readonly [string | number, Words])[] = Array.isArray(of) ? of : Object.entries(of);
  const select = (
    <select
      id={id}
      aria-label={bare ? label : undefined}
      {...more}
      onChange={({ target }) => onChange(target.value as Chosen<Value, None>)}
    >
      {none !== undefined && <option value="">{none}</option>}
      {children}
      {options.map(([value, words]) => (
        <option key={value} value={value}>
          {typeof words === "string" ? words : i18n.t(words)}
        </option>
      ))}
    </select>
  );
  if (bare) return select;
  return (
    <label htmlFor={id} className={className}>
      {label} {select}
    </label>
  );
}
