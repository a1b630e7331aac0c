import { lingui } from "@lingui/vite-plugin";
import locales from "@react-aria/optimize-locales-plugin";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { macros } from "./macros.ts";

// Flat, under /page/, and nothing inline: the content policy of the server allows files of its own alone.
export default defineConfig({
  base: "/page/",
  plugins: [{ ...locales.vite({ locales: ["en-US", "de-DE"] }), enforce: "pre" }, macros(), lingui(), react()],
  build: { assetsDir: "", assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
