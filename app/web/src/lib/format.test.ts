import { describe, expect, it, vi } from "vitest";
import { formatBytes, formatDay, formatParameters, formatSeconds } from "./format";

vi.stubGlobal("navigator", { language: "en-GB" });

it.each([
  [0, "0 B"],
  [1023, "1,023 B"],
  [4_700_000, "4.5 MiB"],
  [8 * 1024 ** 3, "8 GiB"],
  [Infinity, "–"],
])("formatBytes(%d)", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

it.each([
  [0.0123, "12 ms"],
  [3.24, "3.2 s"],
  [150, "2 min 30 s"],
  [7300, "2 h 1 min"],
  [3600 * 24 * 3, "3 days"],
])("formatSeconds(%d)", (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

it("formatParameters", () => {
  expect([7.6e9, 4.3e6, 9e4].map(formatParameters)).toEqual(["7.6B", "4.3M", "90K"]);
});

describe("formatDay", () => {
  const now = new Date(2026, 10, 30, 0, 30).getTime();
  const daysAgo = (days: number): number => new Date(2026, 10, 30 - days, 23, 50).getTime() / 1000;
  it.each([
    [0, "Today"],
    [1, "Yesterday"],
    [3, "Friday"],
    [20, "10 November"],
    [400, "26 October 2025"],
  ])("%d days ago", (days, text) => expect(formatDay(daysAgo(days), now)).toBe(text));
});
