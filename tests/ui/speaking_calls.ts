/** How long texts take to say, as the page estimates it. Prints seconds, as JSON. */
import { spokenSeconds } from "../../ui/src/create/script";

console.log(JSON.stringify(process.argv.slice(2).map(spokenSeconds)));
