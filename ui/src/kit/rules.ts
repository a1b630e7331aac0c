/** The rules of the API for the value of one field; `api/limits.ts` has them by schema and field. */

export interface Limit {
  readonly required?: boolean;
  /** A text where there is none. */
  readonly type?: "number" | "integer";
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Of JavaScript, which reads those of the API alike. */
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Limit;
}

/** The rule that a value breaks, with its figures. */
export type Fault =
  | { rule: "empty" | "pattern" | "url" | "number" | "integer" }
  | { rule: "maxLength" | "minLength"; chars: number; limit: number }
  | { rule: "maxItems" | "minItems"; count: number; limit: number }
  | { rule: "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"; limit: number };

/** Returns the length in characters, as the server counts them: an emoji is one. */
export const charsOf = (text: string) => [...text].length;

/** Whether a request without the value would be refused. */
export const isRequired = ({ required, minLength = 0 }: Limit) => required === true || minLength > 0;

/** Returns what is wrong with a value; undefined of one that the API takes. An empty one breaks no rule but `required`. */
export function faultOf(text: string, limit: Limit, required = isRequired(limit)): Fault | undefined {
  if (text.trim() === "") return required ? { rule: "empty" } : undefined;
  return limit.type ? numberFault(text, limit, limit.type) : textFault(text, limit);
}

function textFault(text: string, { minLength = 0, maxLength = Infinity, pattern }: Limit): Fault | undefined {
  // Most texts are far from their limit, and counted at each letter.
  if (text.length > maxLength && charsOf(text) > maxLength) return { rule: "maxLength", chars: charsOf(text), limit: maxLength };
  if (charsOf(text.slice(0, 2 * minLength)) < minLength) return { rule: "minLength", chars: charsOf(text), limit: minLength };
  if (pattern && !new RegExp(pattern, "u").test(text.trim())) return { rule: "pattern" };
  return undefined;
}

function numberFault(text: string, limit: Limit, type: "number" | "integer"): Fault | undefined {
  const value = Number(text);
  if (!Number.isFinite(value)) return { rule: "number" };
  if (type === "integer" && !Number.isInteger(value)) return { rule: "integer" };
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = limit;
  if (minimum !== undefined && value < minimum) return { rule: "minimum", limit: minimum };
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) return { rule: "exclusiveMinimum", limit: exclusiveMinimum };
  if (maximum !== undefined && value > maximum) return { rule: "maximum", limit: maximum };
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) return { rule: "exclusiveMaximum", limit: exclusiveMaximum };
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) return { rule: "multipleOf", limit: multipleOf };
  return undefined;
}

/** An address without its scheme is none, as the fields of browsers see it too. */
export const urlFault = (text: string): Fault | undefined =>
  text.trim() === "" || URL.canParse(text.trim()) ? undefined : { rule: "url" };

/** 0.3 is one of 0.1, whatever floating point makes of it. */
function isMultiple(value: number, step: number): boolean {
  const steps = value / step;
  return Math.abs(steps - Math.round(steps)) < 1e-9 * Math.max(1, Math.abs(steps));
}

/** Returns what is wrong with a list: with their number, or with one of them. */
export function listFault(values: readonly string[], { minItems = 0, maxItems = Infinity, items }: Limit): Fault | undefined {
  const count = values.length;
  if (count > maxItems) return { rule: "maxItems", count, limit: maxItems };
  if (count < minItems) return { rule: "minItems", count, limit: minItems };
  if (!items) return undefined;
  for (const one of values) {
    const found = faultOf(one, items);
    if (found) return found;
  }
  return undefined;
}

/** Whether more that is typed behind it does not mend it: such a fault is told at once. */
export function isLasting({ rule, ...more }: Fault): boolean {
  if (rule === "maxLength" || rule === "maxItems") return true;
  const limit = "limit" in more ? more.limit : 0;
  if (rule === "maximum" || rule === "exclusiveMaximum") return limit >= 0;
  return rule === "minimum" && limit <= 0;
}

const FIGURES = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"] as const;

/** The same rules of a value that is shown times `factor`, such as a share in percent. */
export function scaled(limit: Limit, factor: number): Limit {
  const figures = FIGURES.flatMap((name) => (limit[name] === undefined ? [] : [[name, limit[name] * factor] as const]));
  return { ...limit, ...Object.fromEntries(figures) };
}

/** Returns the messages of a refusal by the field that they name, such as `consent.person`. */
export function refusedFields(document: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  const { errors, hint, code } = document;
  const found = new Map<string, string>();
  for (const one of Array.isArray(errors) ? errors : []) {
    const { path, message } = one as { path: string; message: string };
    const words = message.charAt(0).toUpperCase() + message.slice(1);
    // The hint of an unreadable request is where the reference is.
    const more = typeof hint === "string" && code !== "request.invalid" ? ` ${hint}` : "";
    found.set(path.replace(/^(body|query|path)\./, ""), words + more);
  }
  return found;
}
