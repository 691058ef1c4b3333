import { expect, it } from "vitest";
import { nameOf, withInside } from "./languages";
import { cutCode } from "./pieces";

it("code is cut where its parts end", () => {
  const part = "def f():\n    return 1\n\n    # more\n\n";
  const pieces = cutCode(part.repeat(100), 200);
  expect(pieces.join("")).toBe(part.repeat(100));
  expect(pieces.length).toBeGreaterThan(15);
  for (const piece of pieces) expect(piece).toMatch(/^def[^]*# more\n\n$/);
});

it.each(["x".repeat(1000), "x\n".repeat(500), "", "\n\n\n\n".repeat(100)])(
  "code without parts is cut all the same",
  (code) => {
    const pieces = cutCode(code, 100);
    expect(pieces.join("")).toBe(code);
    for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(150);
  },
);

it.each([
  ["py", "python"],
  ["C++", "cpp"],
  ["TypeScript", "typescript"],
  ["constructor", undefined],
  ["", undefined],
])("%s is %s", (language, name) => expect(nameOf(language)).toBe(name));

it("what may stand inside a language is known by name", () => {
  for (const name of ["xml", "markdown", "typescript", "shell"].flatMap(withInside))
    expect(nameOf(name)).toBe(name);
});
