import { t } from "@lingui/core/macro";

/** Keys as they are called on keyboards of the language: “Ctrl K” is “Strg K” in German. */
export const keysText = (keys: string) =>
  keys.replaceAll("Ctrl", t`Ctrl`).replaceAll("Shift", t`Shift`).replaceAll("Enter", t`Enter`);
