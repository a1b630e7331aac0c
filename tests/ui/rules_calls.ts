/** Calls functions of the rules of fields by name, with arguments of JSON; prints what they return, as JSON. */
import { faultOf, isLasting, listFault, refusedFields, scaled } from "../../ui/src/kit/rules";

const FUNCTIONS = { faultOf, isLasting, listFault, scaled, refusedFields: (document: never) => [...refusedFields(document)] };
const calls = JSON.parse(process.argv[2] ?? "[]") as [name: keyof typeof FUNCTIONS, ...values: never[]][];
const results = calls.map(([name, ...values]) => (FUNCTIONS[name] as (...values: never[]) => unknown)(...values) ?? null);
console.log(JSON.stringify(results));
