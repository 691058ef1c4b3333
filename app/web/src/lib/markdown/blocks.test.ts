import { describe, expect, it } from "vitest";
import { BlockSplitter, readOpenFence, sourceOf } from "./blocks";
import { markdown } from "./grammar";

const TEXT = `# Title

A paragraph
of two lines.

- one
- two
- three

\`\`\`python
print("hi")

print("there")
\`\`\`

| a | b |
|---|---|
| 1 | 2 |
| 3 | 4 |

$$
x^2
$$

The end.`;

describe("BlockSplitter", () => {
  it("splits into blocks that make up the whole text", () => {
    const blocks = new BlockSplitter().split(TEXT);
    expect(blocks).toHaveLength(7);
    expect(blocks.map(sourceOf).join("")).toBe(TEXT);
    expect(blocks.map((block) => block.parts.length)).toEqual([1, 1, 3, 1, 2, 1, 1]);
  });

  it.each([
    TEXT,
    "1. one\n2. two\n\n   more of it\n\n   ```js\n   f();\n\n   g();\n   ```\n3. three\n\nText",
    "1. a\n\n2. b\n\n3. c\n\n* d\n\n* e\n\n4",
    "- a\n- b\n- - -\n- c\n* d\n  * e\n    - f\n\n- g\n\n\n1. h\n2) i",
    "- a\n- b\n---\n> - c\n> - d\n\n   - e\n    - f\n\n    code",
    "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |\nfour\n> five\n\n| a |\n|---|\n\n| b |\n",
    " | a | b |\n | - | - |\n | 1 | 2 |\n | 3 | 4 |\n- x\n- [ ] y\n# z",
  ])("comes to the same blocks however the text arrives: %j", (text) => {
    const whole = new BlockSplitter().split(text);
    expect(whole.map(sourceOf).join("")).toBe(text);
    for (const step of [1, 2, 3, 7, 50]) {
      const splitter = new BlockSplitter();
      let blocks = splitter.split("");
      for (let end = 0; end < text.length + step; end += step)
        blocks = splitter.split(text.slice(0, end));
      expect(blocks).toEqual(whole);
    }
  });

  it("keeps finished blocks as they are", () => {
    const splitter = new BlockSplitter();
    const before = splitter.split(TEXT.slice(0, 80));
    const after = splitter.split(TEXT);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).toBe(before[2]);
  });

  it("begins anew with another text", () => {
    const splitter = new BlockSplitter();
    splitter.split("# One\n\nTwo\n\nThree");
    expect(splitter.split("Other").map(sourceOf)).toEqual(["Other"]);
  });
});

describe("readOpenFence", () => {
  it.each([
    ["```py\nx = 1", { language: "py", code: "x = 1" }],
    ["```", { language: "", code: "" }],
    ["~~~~ts extra\n```\n", { language: "ts", code: "```\n" }],
    ["```py\nx\n```", null],
    ["```py\nx\n```\n\n", null],
    ["text", null],
  ])("%j", (raw, expected) => expect(readOpenFence(raw)).toEqual(expected));
});

describe("the grammar", () => {
  it.each([
    ["It costs $5 and $6.", "<p>It costs $5 and $6.</p>\n"],
    ["$a+b$", '<p><span class="math">a+b</span></p>\n'],
    ["\\(a<b\\)", '<p><span class="math">a&lt;b</span></p>\n'],
    ["$$a$$", '<p><span class="math" data-shown="">a</span></p>'],
    ["\\[a\n+b\\]", '<p><span class="math" data-shown="">a\n+b</span></p>'],
    ["<b onclick=x>hi</b>", "<p>&lt;b onclick=x&gt;hi&lt;/b&gt;</p>\n"],
    ["![cat](https://a.b/c.png)", '<p><a href="https://a.b/c.png">cat</a></p>\n'],
    ["`$a$`", "<p><code>$a$</code></p>\n"],
  ])("%j", (text, html) => expect(markdown.parse(text)).toBe(html));
});
