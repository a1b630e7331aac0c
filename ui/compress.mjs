/** Writes beside each text of a built page what the server sends as it is. Browsers ask for Brotli over HTTPS and on
 * this computer alone, and most pages come over HTTP: Zopfli makes files of gzip that are 5 % smaller than zlib's. Fonts are compressed already. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync } from "node:zlib";
import { gzipAsync } from "@gfx/zopfli";

// More make less than 0.1 % of difference.
const numiterations = 3;

const folder = process.argv[2];
for (const name of readdirSync(folder).filter((one) => /\.(css|html|js|svg)$/.test(one))) {
  const content = readFileSync(`${folder}/${name}`);
  writeFileSync(`${folder}/${name}.br`, brotliCompressSync(content));
  writeFileSync(`${folder}/${name}.gz`, await gzipAsync(content, { numiterations }));
}
