import { expect, it } from "vitest";
import { readFile, readParts, writeParts } from "./files";

const files = [
  { name: "a.py", text: "print('```')\n" },
  { name: "empty.txt", text: "" },
];

it("files survive the way through a message", () => {
  const parts = writeParts("What is this?", files);
  expect(readParts(parts)).toEqual({ text: "What is this?", files });
});

it("text that only looks like a file stays text", () => {
  const text = "File `a`: is missing";
  expect(readParts(writeParts(text, []))).toEqual({ text, files: [] });
});

it("a file alone is a message", () => {
  expect(writeParts("", files.slice(0, 1))).toHaveLength(1);
});

it("reads text, and refuses what is none or too large", async () => {
  expect(await readFile(new File(["héllo"], "a`b.txt"))).toEqual({
    name: "a_b.txt",
    text: "héllo",
  });
  await expect(readFile(new File([new Uint8Array([0xff, 0xfe])], "x.bin"))).rejects.toThrow(
    "not a text file",
  );
  await expect(readFile(new File([new Uint8Array([0, 1])], "x.bin"))).rejects.toThrow(
    "not a text file",
  );
  await expect(readFile(new File(["x".repeat(1024 * 1024 + 1)], "big"))).rejects.toThrow("1 MiB");
});
