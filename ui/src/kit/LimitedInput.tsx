/** A field for a text of limited length: what is too long stays, and says so, instead of being cut off where it is pasted. */
import { t } from "@lingui/core/macro";
import { type ComponentProps, useEffect, useId, useRef } from "react";

interface Props extends Omit<ComponentProps<"input">, "maxLength" | "onChange"> {
  /** Characters; an emoji counts as one. */
  max: number;
  value: string;
  onChange: (value: string) => void;
}

export function LimitedInput({ max, value, onChange, ...more }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const chars = [...value].length;
  const problem = chars > max ? t`${chars} characters; ${max} are the most.` : "";
  useEffect(() => field.current?.setCustomValidity(problem), [problem]);
  return (
    <>
      <input
        ref={field}
        value={value}
        aria-invalid={problem !== "" || undefined}
        aria-describedby={problem ? id : undefined}
        onChange={({ target }) => onChange(target.value)}
        {...more}
      />
      {problem && (
        <span id={id} className="bad-text" role="alert">
          {problem}
        </span>
      )}
    </>
  );
}
