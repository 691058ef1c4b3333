import { describe, expect, it } from "vitest";
import { BlockSplitter, readOpenFence } from "./blocks";
import { markdown } from "./grammar";

const TEXT = `# Title

A paragraph
of two lines.

- one
- two

\`\`\`python
print("hi")

print("there")
\`\`\`

| a | b |
|---|---|
| 1 | 2 |

$$
x^2
$$

The end.`;

describe("BlockSplitter", () => {
  it("splits into blocks that make up the whole text", () => {
    const blocks = new BlockSplitter().split(TEXT);
    expect(blocks).toHaveLength(7);
    expect(blocks.map((block) => block.raw).join("")).toBe(TEXT);
  });

  it("comes to the same blocks however the text arrives", () => {
    const whole = new BlockSplitter().split(TEXT);
    for (const step of [1, 3, 7, 50]) {
      const splitter = new BlockSplitter();
      let blocks = splitter.split("");
      for (let end = 0; end < TEXT.length + step; end += step)
        blocks = splitter.split(TEXT.slice(0, end));
      expect(blocks).toEqual(whole);
    }
  });

  it("keeps finished blocks as they are", () => {
    const splitter = new BlockSplitter();
    const before = splitter.split(TEXT.slice(0, 60));
    const after = splitter.split(TEXT);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
  });

  it("begins anew with another text", () => {
    const splitter = new BlockSplitter();
    splitter.split("# One\n\nTwo\n\nThree");
    expect(splitter.split("Other").map((block) => block.raw)).toEqual(["Other"]);
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
