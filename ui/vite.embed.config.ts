import { lingui } from "@lingui/vite-plugin";
import { defineConfig } from "vite";
import { macros } from "./macros.ts";

// Pages of other sites load it by its one name; what it needs besides, it finds beside itself.
export default defineConfig({
  base: "./",
  plugins: [macros(), lingui()],
  build: {
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    emptyOutDir: false,
    rolldownOptions: {
      input: { embed: "src/embed/embed.ts" },
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "embed-[name]-[hash].js",
        assetFileNames: "embed-[name]-[hash][extname]",
      },
    },
  },
});
