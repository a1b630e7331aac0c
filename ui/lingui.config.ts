/** Where the texts of the page are found, and where their translations stand: src/locales, one file a language. */
import type { LinguiConfig } from "@lingui/conf";
import { formatter } from "@lingui/format-po";

const config: LinguiConfig = {
  sourceLocale: "en",
  locales: ["de"],
  // `npm run texts` extracts into a folder of its own, to compare.
  catalogs: [{ path: `${process.env.LOCALES ?? "<rootDir>/src/locales"}/{locale}`, include: ["<rootDir>/src"] }],
  format: formatter({ lineNumbers: false }),
  orderBy: "origin",
};
export default config;
