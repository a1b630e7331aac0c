/** A character in one pose, in the order of painting of the worker's rig (avatar/engines/rig/figure.py). */
import type { Character } from "./description";
import { drawBrows, drawEyes } from "./eyes";
import { type Context, linear, radial, soft } from "./geometry";
import { drawMouth } from "./mouth";
import type { Pose } from "./pose";
import { drawNeck, drawOnHead, drawStill, drawTorso } from "./sheet";

/** Pixels per unit, and the pixel of the units' origin: head and shoulders for any picture shape. */
export function framing(width: number, height: number, top: number): { scale: number; x: number; y: number } {
  const scale = Math.min(height / 440, width / 310);
  const eyeLine = width >= height ? 0.425 * height : 0.39 * height;
  return { scale, x: width / 2, y: Math.max(eyeLine, (26 - top) * scale) };
}

/** Draws the figure over what the canvas holds, for a picture of `width` × `height` pixels. */
export function drawFigure(context: Context, character: Character, pose: Pose, width: number, height: number): void {
  const { parts } = character;
  const { scale, x, y } = framing(width, height, character.top);
  context.setTransform(scale, 0, 0, scale, x, y);
  drawStill(context, parts.behind);
  context.save();
  context.transform(...pose.head);
  drawOnHead(context, parts.hair_back, pose);
  context.restore();
  drawNeck(context, parts.neck, pose);
  drawTorso(context, parts.body, pose);
  context.transform(...pose.head);
  drawOnHead(context, parts.ears, pose);
  drawOnHead(context, parts.face, pose);
  drawOnHead(context, parts.nose, pose);
  drawEyes(context, character.eyes, character.skin, pose);
  drawMouth(context, character.mouth, character.skin, pose);
  drawBrows(context, character.brows, pose);
  drawOnHead(context, parts.glasses, pose);
  drawOnHead(context, parts.hair_front, pose);
}

/** The wall with its light from the upper left; the things before it are out of focus, and left out here. */
export function drawWall(context: Context, character: Pick<Character, "backdrop">, width: number, height: number): void {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = linear(context, 0, 0, width * 0.3, height, character.backdrop.wall);
  context.fillRect(0, 0, width, height);
  const unit = height / 100;
  const half = (50 * width) / height;
  const radius = (62 + 0.35 * half) * unit;
  context.fillStyle = radial(
    context,
    width / 2 - 0.45 * half * unit,
    height / 2 - 22 * unit,
    radius,
    soft(character.backdrop.glow, 0.55),
  );
  context.fillRect(0, 0, width, height);
}
