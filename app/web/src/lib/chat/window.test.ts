import { expect, it } from "vitest";
import { AT_END, growDown, growUp, placeOf, windowAt, type Window } from "./window";

const TOTAL = 2000;
const sizeOf = ({ start, end }: Window): number => (end ?? TOTAL) - start;

it("begins at the end, and reaches the start and the end again in bounded windows", () => {
  let view = windowAt(AT_END, TOTAL);
  expect(view).toEqual({ start: TOTAL - 6, end: null });
  for (let step = 0; view.start > 0; step++) {
    view = growUp(view, TOTAL);
    expect(sizeOf(view)).toBeLessThanOrEqual(72);
    expect(step).toBeLessThan(400);
  }
  expect(view).toEqual({ start: 0, end: 72 });
  for (let step = 0; view.end !== null; step++) {
    view = growDown(view, TOTAL);
    expect(sizeOf(view)).toBeLessThanOrEqual(72);
    expect(step).toBeLessThan(400);
  }
  expect(sizeOf(view)).toBe(72);
});

it("a place stays where it is while earlier turns are read in", () => {
  const view = { start: 10, end: 60 };
  expect(windowAt(placeOf(view, 100), 100)).toEqual(view);
  expect(windowAt(placeOf(view, 100), 2000)).toEqual({ start: 1910, end: 1960 });
  expect(windowAt(placeOf({ start: 10, end: null }, 100), 2000)).toEqual({
    start: 1910,
    end: null,
  });
});

it("a short chat is whole", () => {
  expect(windowAt(AT_END, 5)).toEqual({ start: 0, end: null });
  expect(growUp(windowAt(AT_END, 5), 5)).toEqual({ start: 0, end: null });
  expect(growDown({ start: 0, end: null }, 5)).toEqual({ start: 0, end: null });
});
