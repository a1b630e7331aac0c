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

const PLACEHOLDERS = { text: '"…"', number: "…", switch: "true", list: '["…"]', table: '{ name = "…" }' };

/** The present value, to be changed; undefined where there is none to show. */
function startValue(of: Setting): Value | undefined {
  if (of.is_secret || shownText(of.value).includes("[masked]")) return undefined;
  // Another port may be free at the next start.
  const value = of.source === "start" ? of.default : of.value;
  return shownText(value) === "" ? undefined : value;
}

export function fileLines(of: Setting): string {
  const cut = of.name.lastIndexOf(".");
  const value = startValue(of);
  const line = `${of.name.slice(cut + 1)} = ${value === undefined ? PLACEHOLDERS[of.kind] : toml(value)}`;
  return cut < 0 ? line : `[${of.name.slice(0, cut)}]\n${line}`;
}

const QUOTED = /[^A-Za-z0-9_./:,@%+=…-]/;

export function variableLine(of: Setting): string {
  const value = startValue(of);
  const text = Array.isArray(value) ? value.join(",") : value === undefined ? "…" : String(value);
  return `${of.variable}=${QUOTED.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : text}`;
}

/** Tables, such as the variables of a program, have no variable of their own. */
export const hasVariable = (of: Setting) => of.kind !== "table";

/** A value as it is shown. */
export function shownText(value: Value): string {
  if (value === null || value === "") return "";
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "object") return Object.keys(value as object).length > 0 ? toml(value) : "";
  return String(value);
}
