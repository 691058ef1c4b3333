// Points of a plot: time to the right, values upwards, in a box of 100 by 100.

export interface Point {
  time: number;
  value: number | null;
}

/** A rounded value at or above the largest one, as the top of the scale. */
export function topOf(values: (number | null)[], least: number): number {
  const largest = Math.max(least, ...values.map((value) => value ?? 0));
  const power = 10 ** Math.floor(Math.log10(largest));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= largest) ?? 10;
  return step * power;
}

/** The path of a line. It breaks where nothing was measured. */
export function linePath(points: Point[], start: number, end: number, top: number): string {
  let path = "";
  let isDown = false;
  for (const { time, value } of points) {
    if (value === null) {
      isDown = false;
      continue;
    }
    const [x, y] = place(time, value, start, end, top);
    path += `${isDown ? "L" : "M"}${x} ${y}`;
    isDown = true;
  }
  return path;
}

/** The path of what lies below a line, each unbroken part of it closed. */
export const areaPath = (points: Point[], start: number, end: number, top: number): string =>
  linePath(points, start, end, top)
    .split(/(?=M)/)
    .map((part) => part && `${part}V100H${parseFloat(part.slice(1))}Z`)
    .join("");

export function place(
  time: number,
  value: number,
  start: number,
  end: number,
  top: number,
): [number, number] {
  const x = ((time - start) / (end - start)) * 100;
  const y = 100 - (Math.min(value, top) / top) * 100;
  return [round(x), round(y)];
}

const round = (value: number): number => Math.round(value * 100) / 100;
