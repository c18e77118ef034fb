// How fast something grows: a line through samples, and how sure that is.

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Slope {
  /** Of y for one of x. */
  readonly per: number;
  /** With 95 % confidence it is so much more or less. */
  readonly give: number;
}

/** Two-sided 95 % of Student's t, by degrees of freedom from 1 on; then it is nearly the normal one. */
const T95 = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23];

/** By least squares. Fewer than three points say nothing. */
export function slopeOf(points: readonly Point[]): Slope {
  const count = points.length;
  if (count < 3) return { per: 0, give: Infinity };
  const meanX = sum(points, ({ x }) => x) / count;
  const meanY = sum(points, ({ y }) => y) / count;
  const spread = sum(points, ({ x }) => (x - meanX) ** 2);
  const per = sum(points, ({ x, y }) => (x - meanX) * (y - meanY)) / spread;
  const rest = sum(points, ({ x, y }) => (y - meanY - per * (x - meanX)) ** 2);
  const free = count - 2;
  return { per, give: (T95[free - 1] ?? 2) * Math.sqrt(rest / free / spread) };
}

function sum(points: readonly Point[], of: (point: Point) => number): number {
  return points.reduce((total, point) => total + of(point), 0);
}

/** Of each stretch of `width` the least y: what garbage collection leaves. */
export function lowest(points: readonly Point[], width: number): readonly Point[] {
  const least = new Map<number, Point>();
  for (const point of points) {
    const stretch = Math.floor(point.x / width);
    const known = least.get(stretch);
    if (!known || point.y < known.y) least.set(stretch, point);
  }
  return [...least.values()];
}
