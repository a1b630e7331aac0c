/** Writes src/api/limits.ts: what the server takes in each field of a request, from openapi.json. A constant for each
 * schema of a body, and for each operation with parameters or an own body; the bundler drops those that no form uses. */
import { readFileSync, writeFileSync } from "node:fs";

const KEPT = ["minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
const COUNTED = ["multipleOf", "minItems", "maxItems"];
/** One class of characters, so many times: it limits the length too. */
const REPEATED = /^\^(?:\[(?:\\.|[^\]\\])*\]|\\.)\{(\d+),(\d+)\}\$$/;

const { paths, components } = JSON.parse(readFileSync("openapi.json", "utf8"));

/** Of a value that is a text, a number, or a list of them; undefined of anything else. */
function limitOf(schema) {
  if (schema.anyOf) {
    const [one, ...others] = schema.anyOf.filter((option) => option.type !== "null");
    return others.length ? undefined : limitOf(one);
  }
  const { type } = schema;
  if (!["string", "number", "integer", "array"].includes(type) || schema.enum || schema.const) return undefined;
  const limit = type === "string" || type === "array" ? {} : { type };
  const [, minLength, maxLength] = REPEATED.exec(schema.pattern ?? "") ?? [];
  if (maxLength) Object.assign(limit, { minLength: Number(minLength), maxLength: Number(maxLength) });
  for (const name of [...KEPT, ...COUNTED]) if (schema[name] !== undefined) limit[name] = schema[name];
  if (type !== "array") return limit;
  const items = limitOf(schema.items ?? {});
  return items ? { ...limit, items } : Object.keys(limit).length ? limit : undefined;
}

function limitsOf(properties, required) {
  const found = {};
  for (const [name, schema] of Object.entries(properties)) {
    const limit = limitOf(schema);
    if (limit) found[name] = { ...(required.includes(name) && { required: true }), ...limit };
    // A table from one text to another.
    for (const [pattern, value] of Object.entries(schema.patternProperties ?? {})) {
      found[`${name}_key`] = { required: true, ...limitOf({ type: "string", pattern }) };
      found[`${name}_value`] = { required: true, ...limitOf(value) };
    }
  }
  return found;
}

/** Names of the schemas that a schema reaches, itself left out. */
function reached(schema, names = new Set()) {
  for (const [, reference] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
    if (names.has(reference)) continue;
    names.add(reference);
    reached(components.schemas[reference], names);
  }
  return names;
}

/** `POST /api/renders/{render_id}/links` becomes `postRendersLinks`. */
function identifierOf(method, path) {
  const words = path.split("/").filter((part) => part && part !== "api" && !part.startsWith("{"));
  const camel = words.join("-").replace(/[^A-Za-z0-9]+(.)/g, (_, letter) => letter.toUpperCase());
  return method + camel[0].toUpperCase() + camel.slice(1);
}

const all = {};
const add = (name, found) => Object.keys(found).length && Object.assign((all[name] ??= {}), found);
for (const [path, methods] of Object.entries(paths))
  for (const [method, { parameters = [], requestBody }] of Object.entries(methods)) {
    const name = identifierOf(method, path);
    // Of the others none is typed.
    const typed = parameters.filter(({ name, schema }) => name !== "cursor" && limitOf(schema)?.maxLength);
    add(name, Object.fromEntries(typed.map((one) => [one.name, limitOf(one.schema)])));
    const body = requestBody?.content["application/json"]?.schema;
    if (!body) continue;
    for (const schema of [body, ...(body.anyOf ?? body.oneOf ?? [])])
      if (schema.properties) add(name, limitsOf(schema.properties, schema.required ?? []));
    for (const one of reached(body)) {
      const { properties = {}, required = [] } = components.schemas[one];
      add(one.replace(/\W/g, "_"), limitsOf(properties, required));
    }
  }
const lines = Object.keys(all)
  .sort()
  .map((name) => `export const ${name} = ${JSON.stringify(all[name])} as const;`);
const head = "/** What the server takes, by schema and field: made from openapi.json by `npm run client`. */\n";
writeFileSync("src/api/limits.ts", `${head}${lines.join("\n")}\n`);
