/** Compiled pieces, drawn as they lie, with the head, with the neck or with the body (avatar/engines/rig/sheet.py). */
import type { Piece } from "./description";
import { type Context, linear, radial, smoothstep } from "./geometry";
import { CHIN_DROP, jawWeight, type Pose, surface } from "./pose";

const SWING_FROM = -40;
const SWING_LENGTH = 200;
const NECK_DEPTH = 10;
const JAW_Y = 70;
const CHEST_Y = 180;

type Move = (x: number, y: number, piece: Piece) => [x: number, y: number];

/** Draws pieces whose points are moved; a gradient moves as the point in its middle does. */
function drawMoved(context: Context, pieces: readonly Piece[], move: Move, followGradient = true): void {
  for (const piece of pieces) {
    context.beginPath();
    for (const flat of piece.contours) {
      const moved: number[] = new Array(flat.length);
      for (let k = 0; k < flat.length; k += 2) [moved[k], moved[k + 1]] = move(flat[k] as number, flat[k + 1] as number, piece);
      context.moveTo(moved[0] as number, moved[1] as number);
      for (let k = 2; k + 5 < moved.length; k += 6)
        context.bezierCurveTo(
          moved[k] as number,
          moved[k + 1] as number,
          moved[k + 2] as number,
          moved[k + 3] as number,
          moved[k + 4] as number,
          moved[k + 5] as number,
        );
      if (!piece.open) context.closePath();
    }
    context.save();
    const style = styleOf(context, piece, followGradient ? move : (x, y) => [x, y]);
    if (piece.stroke) {
      context.strokeStyle = style;
      context.lineWidth = piece.stroke;
      context.lineCap = context.lineJoin = "round";
      context.stroke();
    } else {
      context.fillStyle = style;
      context.fill();
    }
    context.restore();
  }
}

/** The path is there already: what is transformed from here on is the gradient alone. */
function styleOf(context: Context, piece: Piece, move: Move): string | CanvasGradient {
  const { fill } = piece;
  if (typeof fill === "string") return fill;
  if ("line" in fill) {
    const [x0, y0, x1, y1] = fill.line as [number, number, number, number];
    const [mx, my] = [(x0 + x1) / 2, (y0 + y1) / 2];
    const [x, y] = move(mx, my, piece);
    return linear(context, x0 + x - mx, y0 + y - my, x1 + x - mx, y1 + y - my, fill.stops);
  }
  const [cx, cy, radius, squash] = fill.circle as [number, number, number, number];
  context.translate(...move(cx, cy, piece));
  context.scale(1, squash);
  return radial(context, 0, 0, radius, fill.stops);
}

export const drawStill = (context: Context, pieces: readonly Piece[]): void => drawMoved(context, pieces, (x, y) => [x, y]);

/** Turned with the head; roll and sway are the canvas's business. */
export function drawOnHead(context: Context, pieces: readonly Piece[], pose: Pose): void {
  const { jaw } = pose.channels;
  drawMoved(context, pieces, (x, y, piece) => {
    const depth = surface(x, y) * (piece.lift ?? 1) + (piece.depth ?? 0);
    const drop = piece.jaw ? piece.jaw * jawWeight(y) * CHIN_DROP * jaw : 0;
    const [tx, ty] = pose.turn(x, y + drop, depth);
    if (!piece.swing) return [tx, ty];
    const fall = Math.max(0, Math.min(1.3, (y - SWING_FROM) / SWING_LENGTH));
    return [tx + piece.swing * fall * fall * pose.swing, ty];
  });
}

export function drawTorso(context: Context, pieces: readonly Piece[], pose: Pose): void {
  drawMoved(context, pieces, (x, y) => pose.moveTorso(x, y));
}

/** Above with the head, below with the body. */
export function drawNeck(context: Context, pieces: readonly Piece[], pose: Pose): void {
  const [a, b, c, d, e, f] = pose.head;
  const move: Move = (x, y) => {
    const share = smoothstep(JAW_Y, CHEST_Y, y);
    const [tx, ty] = pose.turn(x, y, NECK_DEPTH);
    const [bx, by] = pose.moveTorso(x, y);
    return [(a * tx + c * ty + e) * (1 - share) + bx * share, (b * tx + d * ty + f) * (1 - share) + by * share];
  };
  drawMoved(context, pieces, move, false);
}
