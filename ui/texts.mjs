/** Checks the texts of the page: nothing that people read stands outside of Lingui's macros, and each translation is
 * complete. `npm run texts -- --write` takes new texts into the catalogues, where they are to be translated. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";

const LOCALES = "src/locales";
const ALLOWED = "texts_allowed.txt";
const SKIPPED = /schema\.d\.ts$|^src\/api\/limits\.ts$|^src\/face\/|^src\/locales\//;
/** Attributes that are read or heard. `name` is one of a component, and a key of a form in HTML. */
const READ = /^(label|title|placeholder|alt|about|tip|legend|confirmLabel|last|textValue|words|empty|always|none|patternWords|aria-label|name)$/;
const WORD = /\p{L}{2}/u;
const SENTENCE = /^\p{Lu}\p{Ll}+(\s.*)?$|\p{L}+\s\p{L}+\s\p{L}+/u;
const problems = [];

function extract(folder) {
  execFileSync("node_modules/.bin/lingui", ["extract", "--clean", "--workers", "1"], { env: { ...process.env, LOCALES: folder }, stdio: "pipe" });
}

/** Each message of a catalogue with its translation; of a plural form the whole. */
function messagesOf(path) {
  const text = (lines) => [...lines.matchAll(/"(.*)"/g)].map((one) => one[1]).join("");
  const entries = readFileSync(path, "utf8").matchAll(/(?:msgctxt (.*)\n)?msgid ((?:".*"\n)+)msgstr ((?:".*"\n?)+)/g);
  const all = [...entries].map(([, context, id, translation]) => [`${context ?? ""} ${text(id)}`.trim(), text(translation)]);
  return new Map(all.filter(([id]) => id !== ""));
}

function checkCatalogues() {
  const fresh = mkdtempSync(join(tmpdir(), "texts-"));
  cpSync(LOCALES, fresh, { recursive: true });
  extract(fresh);
  for (const file of readdirSync(LOCALES).filter((one) => one.endsWith(".po"))) {
    const [now, then] = [messagesOf(join(LOCALES, file)), messagesOf(join(fresh, file))];
    for (const id of then.keys()) if (!now.has(id)) problems.push(`${LOCALES}/${file} lacks: ${id}`);
    for (const [id, translation] of now) {
      if (!then.has(id)) problems.push(`${LOCALES}/${file} has what the page no longer says: ${id}`);
      else if (translation === "") problems.push(`${LOCALES}/${file} has no translation of: ${id}`);
    }
  }
  rmSync(fresh, { recursive: true });
  const keys = (file) => Object.keys(JSON.parse(readFileSync(file, "utf8")));
  const tools = keys("src/kit/labels.json");
  for (const file of readdirSync(LOCALES).filter((one) => /^labels\..*\.json$/.test(one))) {
    const translated = keys(join(LOCALES, file));
    for (const key of tools) if (!translated.includes(key)) problems.push(`${LOCALES}/${file} lacks: ${key}`);
    for (const key of translated) if (!tools.includes(key)) problems.push(`${LOCALES}/${file} names no tool: ${key}`);
  }
}

/** Texts of a file that no macro takes. */
function bareTexts(path) {
  const file = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    if (isTranslated(node) || ts.isImportDeclaration(node) || ts.isTypeNode(node)) return;
    if (ts.isJsxText(node) && WORD.test(node.text)) found.push(node.text);
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      if (isRead(node)) found.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found.map((one) => one.trim().replace(/\s+/g, " "));
}

const nameOf = (node) => node.getText().replace(/.*\./, "");

function isTranslated(node) {
  if (ts.isTaggedTemplateExpression(node)) return /^(t|msg)$/.test(node.tag.getText());
  if (ts.isCallExpression(node)) return /^(t|msg|plural|keysText)$/.test(node.expression.getText());
  // What is typed or pressed is the same in every language.
  if (ts.isJsxElement(node)) return /^(Trans|code)$/.test(node.openingElement.tagName.getText());
  return false;
}

/** Whether people read it: by its place, or since it looks like a sentence. */
function isRead(node) {
  if (isKey(node)) return false;
  const attribute = ts.findAncestor(node, ts.isJsxAttribute);
  if (attribute) {
    const [name, tag] = [attribute.name.getText(), attribute.parent.parent.tagName.getText()];
    const read = READ.test(name) && !(name === "name" && /^([a-z]|Field$|RenameField$)|Icon$/.test(tag));
    const direct = node.parent === attribute || !ts.findAncestor(node, (one) => one !== node && isCode(one, attribute));
    if (direct) return read && WORD.test(node.text);
  } else if (isShown(node)) return WORD.test(node.text);
  return SENTENCE.test(node.text) && node.text !== "Soundstage";
}

/** Between a text and its attribute: a handler, which shows nothing by itself. */
const isCode = (node, attribute) => ts.isFunctionLike(node) && node.pos >= attribute.pos && node.end <= attribute.end;

/** What an expression between tags comes to. */
function isShown(node) {
  let [one, parent] = [node, node.parent];
  while (ts.isParenthesizedExpression(parent) || ts.isBinaryExpression(parent) || ts.isConditionalExpression(parent)) {
    if (ts.isConditionalExpression(parent) && parent.condition === one) return false;
    if (ts.isBinaryExpression(parent) && !/^(&&|\|\||\?\?)$/.test(parent.operatorToken.getText())) return false;
    [one, parent] = [parent, parent.parent];
  }
  return ts.isJsxExpression(parent) && !ts.isJsxAttribute(parent.parent);
}

/** Names of keys, events and errors that code compares with, and names of views and rooms. */
function isKey(node) {
  const { parent } = node;
  if (ts.isBinaryExpression(parent) && /^[!=]==$/.test(parent.operatorToken.getText())) return true;
  if (ts.isPropertyAssignment(parent) && parent.name === node) return true;
  if (ts.isCallExpression(parent)) return /^(get|viewOf|findAncestor|addEventListener)$/.test(nameOf(parent.expression));
  return false;
}

function checkSources() {
  const list = readdirSync("src", { recursive: true }).map((one) => `src/${one}`);
  const files = list.filter((one) => /\.tsx?$/.test(one) && !SKIPPED.test(one)).sort();
  const allowed = new Set(readFileSync(ALLOWED, "utf8").split("\n").filter((line) => line && !line.startsWith("#")));
  const used = new Set();
  for (const path of files)
    for (const text of bareTexts(path)) {
      const line = `${path}: ${text}`;
      if (allowed.has(line)) used.add(line);
      else problems.push(`${line} — stands outside of the macros: t, msg, Trans`);
    }
  for (const line of allowed) if (!used.has(line)) problems.push(`${ALLOWED} allows what is gone: ${line}`);
}

if (process.argv.includes("--write")) extract(`<rootDir>/${LOCALES}`);
checkSources();
checkCatalogues();
for (const one of problems) console.error(one);
process.exit(problems.length ? 1 : 0);
