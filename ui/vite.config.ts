import { lingui } from "@lingui/vite-plugin";
import locales from "@react-aria/optimize-locales-plugin";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { macros } from "./macros.ts";

/** What every first load needs, and what nearly every view needs, in a file each: small files cost a request each. */
const TOGETHER = [
  {
    name: "first",
    test: /node_modules\/(react|react-dom|scheduler|use-sync-external-store|openapi-fetch|@tanstack\/(history|router-core|store))\/|query-core\/build\/modern\/(?!infinite|mutation|queries)|vite\/preload-helper|src\/(api\/(client|problem|reachable)|kit\/part)\.ts/,
  },
  { name: "fields", test: /src\/(kit\/(Field|Form|RenameField|rules)|api\/limits)\.tsx?/ },
  {
    name: "views",
    test: /mutationObserver|useMutation|src\/(kit\/(useSettled|ConfirmedAction)|create\/usePersonas|videos\/words)\.tsx?/,
  },
];

// Flat, under /page/, and nothing inline: the content policy of the server allows files of its own alone.
export default defineConfig({
  base: "/page/",
  plugins: [{ ...locales.vite({ locales: ["en-US", "de-DE"] }), enforce: "pre" }, macros(), lingui(), react()],
  build: {
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    rolldownOptions: { output: { codeSplitting: { groups: TOGETHER } } },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
