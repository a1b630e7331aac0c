/** Curves and colours as the worker's rig has them (avatar/engines/rig/geometry.py and paint.py). */
export type Point = [x: number, y: number];
export type Stops = [colour: string, at: number][];
export type Context = CanvasRenderingContext2D;

export const clamp = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));

export function smoothstep(low: number, high: number, x: number): number {
  const t = clamp((x - low) / (high - low), 0, 1);
  return t * t * (3 - 2 * t);
}

/** A minimum-jerk step from 0 to 1 (Flash & Hogan 1985). */
export function glide(position: number): number {
  const x = clamp(position, 0, 1);
  return x ** 3 * (10 + x * (6 * x - 15));
}

export const linspace = (low: number, high: number, count: number): number[] =>
  Array.from({ length: count }, (_, k) => low + ((high - low) * k) / (count - 1));

const at = (points: readonly Point[], index: number): Point => points[(index + points.length) % points.length] as Point;

/** A closed curve through evenly spaced points, as Bézier control points (uniform Catmull-Rom). */
export function loop(points: readonly Point[], corners: readonly number[] = []): Point[] {
  const count = points.length;
  const found: Point[] = [[...at(points, 0)]];
  const slope = (index: number): Point => {
    if (corners.includes((index + count) % count)) return [0, 0];
    const [ax, ay] = at(points, index - 1);
    const [bx, by] = at(points, index + 1);
    return [(bx - ax) / 6, (by - ay) / 6];
  };
  for (let k = 0; k < count; k++) {
    const [ax, ay] = at(points, k);
    const [bx, by] = at(points, k + 1);
    const [sx, sy] = slope(k);
    const [tx, ty] = slope(k + 1);
    found.push([ax + sx, ay + sy], [bx - tx, by - ty], [bx, by]);
  }
  return found;
}

/** The closed outline between two edges that run the same way: lids, lips, teeth. */
export function band(upper: readonly Point[], lower: readonly Point[]): Point[] {
  const n = upper.length;
  return loop([...upper, ...[...lower].reverse()], [0, n - 1, n, n + lower.length - 1]);
}

/** The outline of a stroke that swells to `width`; `start` and `end` are the fractions of it left at the ends. */
export function taper(line: readonly Point[], width: number, start = 0, end = 0): Point[] {
  const upper: Point[] = [];
  const lower: Point[] = [];
  line.forEach(([x, y], k) => {
    const [ax, ay] = line[Math.max(k - 1, 0)] as Point;
    const [bx, by] = line[Math.min(k + 1, line.length - 1)] as Point;
    const length = Math.max(Math.hypot(bx - ax, by - ay), 1e-9);
    const t = k / (line.length - 1);
    const half = (Math.max(Math.sin(Math.PI * t) ** 0.7 || 0, t < 0.5 ? start : end) / 2) * width;
    const nx = (-(by - ay) / length) * half;
    const ny = ((bx - ax) / length) * half;
    upper.push([x + nx, y + ny]);
    lower.push([x - nx, y - ny]);
  });
  return band(upper, lower);
}

export const lower = (line: readonly Point[], by: number): Point[] => line.map(([x, y]) => [x, y + by]);

/** Adds a contour of control points to the current path. */
export function trace(context: Context, control: readonly Point[], closed = true): void {
  const [first] = control;
  if (!first) return;
  context.moveTo(...first);
  for (let k = 1; k + 2 < control.length; k += 3)
    context.bezierCurveTo(...(control[k] as Point), ...(control[k + 1] as Point), ...(control[k + 2] as Point));
  if (closed) context.closePath();
}

export function fillPath(context: Context, control: readonly Point[], style: string | CanvasGradient): void {
  context.beginPath();
  trace(context, control);
  context.fillStyle = style;
  context.fill();
}

export function fillCircle(context: Context, x: number, y: number, radius: number, style: string | CanvasGradient): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = style;
  context.fill();
}

/** `share` of the second colour mixed into the first. */
export function blend(first: string, second: string, share: number): string {
  const part = (text: string, k: number) => Number.parseInt(text.slice(k, k + 2), 16);
  const mixed = [1, 3, 5].map((k) => Math.round(part(first, k) * (1 - share) + part(second, k) * share));
  return `#${mixed.map((one) => one.toString(16).padStart(2, "0")).join("")}`;
}

/** The same colour with another opacity. */
export const clear = (colour: string, alpha = 0): string =>
  `${colour.slice(0, 7)}${Math.round(clamp(alpha, 0, 1) * 255)
    .toString(16)
    .padStart(2, "0")}`;

/** Stops of a spot that fades out smoothly. */
export const soft = (colour: string, alpha: number): Stops =>
  [
    [0, 1],
    [0.25, 0.88],
    [0.5, 0.5],
    [0.75, 0.13],
    [1, 0],
  ].map(([place, level]) => [clear(colour, alpha * (level as number)), place as number]);

const withStops = (gradient: CanvasGradient, stops: Stops): CanvasGradient => {
  for (const [colour, place] of stops) gradient.addColorStop(place, colour);
  return gradient;
};

export const linear = (context: Context, x0: number, y0: number, x1: number, y1: number, stops: Stops): CanvasGradient =>
  withStops(context.createLinearGradient(x0, y0, x1, y1), stops);

export const radial = (context: Context, x: number, y: number, radius: number, stops: Stops): CanvasGradient =>
  withStops(context.createRadialGradient(x, y, 0, x, y, radius), stops);

/** Fills a circle whose gradient is `squash` times as high as wide. */
export function fillSpot(context: Context, x: number, y: number, radius: number, squash: number, stops: Stops): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.save();
  context.translate(x, y);
  context.scale(1, squash);
  context.fillStyle = radial(context, 0, 0, radius, stops);
  context.fill();
  context.restore();
}
