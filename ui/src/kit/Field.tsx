/** A field of a request: its label, and what the server would refuse in it, by the rules of `api/limits.ts`. What is
 * too long or too much stays, and says so while it is typed; other rules speak once the field is left or the form is sent. */
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import {
  type ChangeEvent,
  type ComponentProps,
  type FocusEvent,
  type FormEvent,
  type Ref,
  type RefObject,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { number } from "../videos/words";
import { useFormState } from "./Form";
import { Marked } from "./Marked";
import { type Fault, faultOf, isLasting, isRequired, type Limit, urlFault } from "./rules";

export type Limits = Readonly<Record<string, Limit>>;
type Control = HTMLInputElement & HTMLTextAreaElement;
type Managed =
  | "value"
  | "onChange"
  | "name"
  | "required"
  | "pattern"
  | "min"
  | "max"
  | "minLength"
  | "maxLength"
  | "ref"
  | "step"
  | "style";

interface Base extends Omit<ComponentProps<"input">, Managed> {
  label: string;
  /** The label is read aloud only. */
  bare?: boolean;
  value: string;
  onChange: (value: string) => void;
  /** Where it is left empty, the form sends nothing or null; or the form needs it, though the server does not. */
  required?: boolean;
  /** Of a text of several lines. */
  rows?: number;
  /** What the request calls it, where that is not `name`: `consent.person`. */
  path?: string;
  /** What is wrong beyond the rules of one value. */
  fault?: Fault | undefined;
  ref?: Ref<HTMLTextAreaElement>;
}

/** What has a form needs words for it: nobody reads a regular expression. */
type Worded<L> = L extends { pattern: string } ? { patternWords: string } : { patternWords?: undefined };

export type FieldProps<T extends Limits, K extends keyof T> = Base & { of: T; name: K } & Worded<T[K]>;

export function Field<T extends Limits, K extends keyof T & string>(props: FieldProps<T, K>) {
  const { of, name, label, bare, value, onChange, required, rows, path, fault, ref, patternWords, className, ...more } =
    props as Base & { of: Limits; name: string; patternWords?: string };
  const limit = of[name] as Limit;
  const needed = required ?? isRequired(limit);
  const control = useRef<Control>(null);
  const [ownId, problemId] = [useId(), useId()];
  const id = more.id ?? ownId;
  const [isUnreadable, setUnreadable] = useState(false);
  const found =
    (isUnreadable ? { rule: "number" as const } : fault) ??
    faultOf(value, limit, needed) ??
    (more.type === "url" ? urlFault(value) : undefined);
  const words = found ? faultWords(found, limit, patternWords) : "";
  useEffect(() => control.current?.setCustomValidity(words), [words]);
  const [isChecked, setChecked] = useChecked(value);
  const [refusal, answer] = useRefusal(path ?? name, control);
  const isShown = isChecked || (found !== undefined && isLasting(found));
  const problem = (isShown && words) || refusal;
  const check = () => {
    setUnreadable(control.current?.validity.badInput ?? false);
    setChecked(value);
  };
  const attributes = {
    ...(more as ComponentProps<"input"> & ComponentProps<"textarea">),
    ...(more.type === "number" && { min: limit.minimum, max: limit.maximum, step: "any" }),
    className: bare ? className : undefined,
    id,
    name,
    value,
    "aria-required": needed || undefined,
    "aria-invalid": problem ? true : undefined,
    "aria-describedby": problem ? problemId : undefined,
    "aria-label": bare ? label : undefined,
    ref: (element: Control | null) => {
      control.current = element;
      if (typeof ref === "function") ref(element);
      else if (ref) ref.current = element;
    },
    onChange: ({ target }: ChangeEvent<Control>) => {
      answer();
      setUnreadable(target.validity.badInput);
      if (isChecked) setChecked(target.value);
      onChange(target.value);
    },
    onBlur: (event: FocusEvent<Control>) => {
      // Who only passes by has typed nothing wrong.
      if (value !== "" || event.target.validity.badInput) check();
      more.onBlur?.(event);
    },
    onInvalid: (event: FormEvent<Control>) => {
      event.preventDefault();
      check();
      focusFirst(event.currentTarget);
    },
  };
  const input = rows === undefined ? <input {...attributes} /> : <textarea {...attributes} rows={rows} />;
  const message = problem && (
    <span id={problemId} className="bad-text" role="alert">
      <Marked text={problem} />
    </span>
  );
  if (bare)
    return (
      <>
        {input}
        {message}
      </>
    );
  return (
    <div className={className ? `field ${className}` : "field"}>
      <label htmlFor={id}>{label}</label>
      {input}
      {message}
    </div>
  );
}

/** Whether rules speak: since the field was left with a value, until the form gives it another one. */
function useChecked(value: string) {
  const [checked, setChecked] = useState<string | null>(null);
  return [checked === value, setChecked] as const;
}

/** What the server refused in a field, until that is changed. The first one that it names gets the focus. */
function useRefusal(path: string, control: RefObject<Control | null>) {
  const form = useFormState();
  const [answered, setAnswered] = useState<unknown>(null);
  const refusal = form && form.error !== answered ? form.refused.get(path) : undefined;
  const isFirst = refusal !== undefined && form?.refused.keys().next().value === path;
  useEffect(() => {
    form?.fields.add(path);
    return () => void form?.fields.delete(path);
  }, [form?.fields, path]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each answer anew
  useEffect(() => {
    if (isFirst) control.current?.focus();
  }, [isFirst, form?.error, control]);
  return [refusal, () => setAnswered(form?.error ?? null)] as const;
}

function focusFirst(control: Control) {
  const all = [...(control.form?.elements ?? [])] as Control[];
  const first = all.find((one) => one.willValidate && !one.validity.valid);
  // The browser goes to the first field that has no words of its own; only then.
  if (first === control) setTimeout(() => control.focus());
}

function faultWords(fault: Fault, limit: Limit, patternWords: string | undefined): string {
  if ("chars" in fault) {
    const [chars, max] = [number(fault.chars), number(fault.limit)];
    if (fault.rule === "maxLength") return t`${chars} characters; ${max} are the most.`;
    return t`${chars} characters; ${max} are the least.`;
  }
  if ("count" in fault) {
    const [count, max] = [number(fault.count), number(fault.limit)];
    return fault.rule === "maxItems" ? t`${count} entries; ${max} are the most.` : t`${count} entries; ${max} are the least.`;
  }
  if ("limit" in fault) return rangeWords(fault, limit);
  if (fault.rule === "empty") return t`This is needed.`;
  if (fault.rule === "url") return t`This is no address: it begins with https://.`;
  if (fault.rule === "number") return t`This is no number.`;
  if (fault.rule === "integer") return t`A whole number is needed.`;
  return patternWords ?? t`It does not have the form that is needed.`;
}

const figureOf = (value: number) => i18n.number(value, { maximumFractionDigits: 6 });

function rangeWords({ rule, limit }: Extract<Fault, { limit: number }>, { minimum, maximum }: Limit): string {
  const figure = figureOf(limit);
  if (minimum !== undefined && maximum !== undefined && (rule === "minimum" || rule === "maximum"))
    return t`From ${figureOf(minimum)} to ${figureOf(maximum)}.`;
  if (rule === "minimum") return t`${figure} or more.`;
  if (rule === "maximum") return t`${figure} or less.`;
  if (rule === "exclusiveMinimum") return t`More than ${figure}.`;
  if (rule === "exclusiveMaximum") return t`Less than ${figure}.`;
  return t`A multiple of ${figure}.`;
}
