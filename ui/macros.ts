/** Makes calls of Lingui's macros at build time. English stands in the code, compiled; a language that is chosen is a
 * catalogue beside it. So English fetches nothing, and no text is parsed in the browser. */
import { type PluginObj, transformAsync, types } from "@babel/core";
import linguiMacros from "@lingui/babel-plugin-lingui-macro";
import { compileMessage } from "@lingui/message-utils/compileMessage";
import type { Plugin } from "vite";

/** `{ id, message: "…" }` gets its message as Lingui's catalogues have it. */
const compileEnglish: PluginObj = {
  visitor: {
    ObjectProperty({ node }) {
      const { key, value } = node;
      if (types.isIdentifier(key, { name: "message" }) && types.isStringLiteral(value))
        node.value = types.valueToNode([compileMessage(value.value)].flat());
    },
  },
};

export const macros = (): Plugin => ({
  name: "lingui-macros",
  enforce: "pre",
  transform: {
    filter: { id: /\/src\/.*\.tsx?$/, code: /@lingui\/(core|react)\/macro/ },
    async handler(code, id) {
      const done = await transformAsync(code, {
        filename: id,
        babelrc: false,
        configFile: false,
        sourceMaps: true,
        parserOpts: { plugins: ["typescript", "jsx"] },
        plugins: [[linguiMacros, { stripMessageField: false }], compileEnglish],
      });
      return done?.code ? { code: done.code, map: done.map } : null;
    },
  },
});
