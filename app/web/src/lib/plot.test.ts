import { expect, it } from "vitest";
import { areaPath, linePath, topOf } from "./plot";

it.each([
  [[], 1, 1],
  [[0.3, null], 1, 1],
  [[7], 1, 10],
  [[1234, 20], 1, 2000],
  [[40], 1, 50],
])("topOf(%j)", (values, least, top) => expect(topOf(values, least)).toBe(top));

it("linePath draws from left to right, upwards, and breaks at gaps", () => {
  const points = [
    { time: 0, value: 0 },
    { time: 5, value: 10 },
    { time: 6, value: null },
    { time: 10, value: 20 },
  ];
  expect(linePath(points, 0, 10, 10)).toBe("M0 100L50 0M100 0");
  expect(areaPath(points, 0, 10, 10)).toBe("M0 100L50 0V100H0ZM100 0V100H100Z");
  expect(areaPath([], 0, 10, 10)).toBe("");
});
