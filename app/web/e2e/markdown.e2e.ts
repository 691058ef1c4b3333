// What is put together piece by piece, while it is streamed, is what the whole of it would be.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBrowser, Watched } from "./support/browser";
import { Corral } from "./support/corral";
import { makeConversation, said } from "./support/made";
import { Typist } from "./support/typist";

const LINES = Array.from({ length: 40 }, (_, at) => at + 1);
const TEXT = [
  "# All of it\n",
  ...LINES.map((at) => `${at}. **Item** ${at} with \`code\` and $x^${at}$`),
  "   - nested\n   ```python\n   def f(): return 1\n   ```\n",
  "| a | b |\n|---|--:|",
  ...LINES.map((at) => `| ${at} | *${at * 7}* |`),
  "\n```typescript",
  ...LINES.map((at) => `export function f${at}(text: string): number {\n  return ${at};\n}\n`),
  "```\n",
  "- [ ] open\n- [x] done\n- - -\n> quoted\n> more\n\n$$\\frac{1}{2}$$\n\nThe end.",
].join("\n");

let corral: Corral;
let browser: Browser;

beforeAll(async () => {
  corral = Corral.shared();
  browser = await openBrowser();
});
afterAll(() => browser?.close());

/** The answer's elements, once its colours and formulas are there. */
async function readAnswer(page: Page): Promise<string> {
  await page.getByText("The end.").waitFor();
  await expect.poll(() => page.locator(".prose .katex").count()).toBe(LINES.length + 1);
  const coloured = page.locator(".prose pre .hljs-keyword");
  await expect.poll(() => coloured.count()).toBeGreaterThan(LINES.length * 2);
  return page.locator(".prose").evaluate((prose) => {
    prose.normalize();
    return prose.innerHTML.replaceAll(/<!--.*?-->/g, "").replaceAll(/\s*\n\s*(?=<)/g, "");
  });
}

it("an answer looks the same however it came", async () => {
  const typist = await Typist.start(corral.url, TEXT, 1500);
  const watched = await Watched.open(browser, typist.url);
  await watched.send("Write all of it.");
  const streamed = await readAnswer(watched.page);
  await watched.close();

  const items = [said("user", "Write all of it."), said("assistant", TEXT)];
  const made = await corral.import([makeConversation({ title: "All of it", items })]);
  const whole = await Watched.open(browser, corral.url, `#/chat/${made.data[0]?.id}`);
  expect(streamed).toBe(await readAnswer(whole.page));
  await whole.close();
  typist.close();
});
