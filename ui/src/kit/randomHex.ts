/** Returns `bytes` random bytes as hexadecimal digits; the browser's own function for ids is not there over plain HTTP. */
export const randomHex = (bytes: number) =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
