/** The lines that set a setting: in the settings file, and as a variable of the environment. */
import type { Setting } from "../api/client";

type Value = Setting["value"];

/** A value as TOML writes it: a basic string has the escapes of JSON. */
function toml(value: Value): string {
  if (Array.isArray(value)) return `[${value.map((one) => toml(one as Value)).join(", ")}]`;
  if (value !== null && typeof value === "object")
    return `{ ${Object.entries(value)
      .map(([name, one]) => `${JSON.stringify(name)} = ${toml(one as Value)}`)
      .join(", ")} }`;
  return JSON.stringify(value ?? "");
}

/** With the present value, to be changed; a masked one would be wrong. */
const startValue = (of: Setting): Value =>
  of.is_secret || shownText(of.value).includes("[masked]") ? "" : (of.value ?? of.default);

export function fileLines(of: Setting): string {
  const cut = of.name.lastIndexOf(".");
  const line = `${of.name.slice(cut + 1)} = ${toml(startValue(of))}`;
  return cut < 0 ? line : `[${of.name.slice(0, cut)}]\n${line}`;
}

const QUOTED = /[^A-Za-z0-9_./:,@%+=-]/;

export function variableLine(of: Setting): string {
  const value = startValue(of);
  const text = Array.isArray(value) ? value.join(",") : typeof value === "object" ? "" : String(value);
  return `${of.variable}=${QUOTED.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : text}`;
}

/** Tables of tables, such as the variables of a program, have no variable of their own. */
export const hasVariable = (of: Setting) => Array.isArray(of.value) || of.value === null || typeof of.value !== "object";

/** A value as it is shown. */
export function shownText(value: Value): string {
  if (value === null || value === "") return "";
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "object" ? toml(value) : String(value);
}
