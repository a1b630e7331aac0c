/** Prints the mouth shapes of an avatar for single mouth shapes of speech, and its mouth after an interruption. */
import { vowels } from "../../ui/src/face/avatar";
import { Motion } from "../../ui/src/face/motion";

const STEP_S = 1 / 60;
const caption = (viseme: string) => ({
  duration_ms: 2000,
  words: [],
  visemes: [
    { viseme: "sil", start_ms: 0, end_ms: 200 },
    { viseme, start_ms: 200, end_ms: 1800 },
    { viseme: "sil", start_ms: 1800, end_ms: 2000 },
  ],
});

function follow(viseme: string) {
  const motion = new Motion(true);
  const cues = [{ startS: 0, caption: caption(viseme) }];
  let now = 0;
  let shown = vowels(motion.follow(now, STEP_S, "speaking", cues, now));
  while (now < 1) {
    now += STEP_S;
    shown = vowels(motion.follow(now, STEP_S, "speaking", cues, now));
  }
  const after = [];
  for (let k = 0; k < 9; k++) {
    now += STEP_S;
    const { aa, ih, ou, ee, oh } = vowels(motion.follow(now, STEP_S, "listening", [], now));
    after.push(aa + ih + ou + ee + oh);
  }
  return { shown, after };
}

const found = Object.fromEntries(["sil", "PP", "FF", "aa", "E", "I", "O", "U"].map((name) => [name, follow(name)]));
console.log(JSON.stringify(found));
