import { expect, it } from "vitest";
import { MAX_INSTRUCTIONS, readSettings, writeSettings } from "./settings";

const settings = {
  instructions: "You are a llama. ".repeat(80),
  sampling: { temperature: 0.2, top_k: 40 },
};

it("settings survive the way through metadata", () => {
  const written = writeSettings({ title: "T", pinned: "true" }, settings);
  expect(readSettings(written)).toEqual(settings);
  expect(written).toMatchObject({ title: "T", pinned: "true" });
  expect(Math.max(...Object.values(written).map((value) => value.length))).toBeLessThanOrEqual(512);
});

it("new settings leave nothing of the old ones", () => {
  const written = writeSettings(writeSettings({ title: "T" }, settings), { instructions: "Short" });
  expect(written).toEqual({ title: "T", "system.0": "Short" });
  expect(writeSettings(written, {})).toEqual({ title: "T" });
});

it("the longest prompt leaves room for the other keys", () => {
  const written = writeSettings({}, { instructions: "x".repeat(MAX_INSTRUCTIONS), sampling: {} });
  expect(Object.keys(written).length).toBeLessThanOrEqual(14);
});

it("what others wrote does no harm", () => {
  expect(readSettings({ sampling: "{oops" })).toEqual({});
});
