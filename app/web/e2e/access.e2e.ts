// For everybody: by keyboard, by screen reader, in light and dark, on a phone.

import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openBrowser, Watched } from "./support/browser";
import { Corral, FIRST } from "./support/corral";
import { makeConversation, said } from "./support/made";

const ANSWER = `# A title\n\nText with \`code\`, **bold** and a [link](https://example.com).

| a | b |
|---|--:|
| 1 | 2 |

\`\`\`python
def greet(name):  # says hello
    return f"Hello {name}" * 3
\`\`\`

- [x] done
- [ ] open

$$\\int_0^1 \\frac{x^2}{\\sqrt{1+x}}\\,dx$$`;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
let corral: Corral;
let browser: Browser;
let pages: Record<string, string>;

beforeAll(async () => {
  corral = Corral.shared();
  browser = await openBrowser();
  const call = {
    type: "function_call",
    call_id: "call_1",
    name: "weather",
    arguments: '{"city":"Rome"}',
  };
  const output = { type: "function_call_output", call_id: "call_1", output: "sunny" };
  const thought = {
    type: "reasoning",
    summary: [],
    content: [{ type: "reasoning_text", text: "Hm." }],
  };
  const items = [
    said("user", "All of it, please"),
    thought,
    call,
    output,
    said("assistant", ANSWER),
  ];
  const made = await corral.import([makeConversation({ title: "Everything", items })]);
  pages = {
    welcome: "#/",
    chat: `#/chat/${made.data[0]?.id}`,
    models: "#/models",
    status: "#/status",
    settings: "#/settings",
  };
});
afterAll(async () => {
  await browser?.close();
});

const VIEWS: [string, BrowserContextOptions][] = [
  ["desktop, light", { colorScheme: "light" }],
  ["desktop, dark", { colorScheme: "dark" }],
  ["phone, light", { ...PHONE, colorScheme: "light" }],
  ["phone, dark", { ...PHONE, colorScheme: "dark" }],
];

describe.each(VIEWS)("%s", (_, options) => {
  it("no page has a serious finding of axe, or is wider than the screen", async () => {
    const watched = await Watched.open(browser, corral.url, "#/", {
      ...options,
      reducedMotion: "reduce",
    });
    const { page } = watched;
    for (const [name, hash] of Object.entries(pages)) {
      await page.goto(`${corral.url}/${hash}`);
      await page.getByRole("main").locator("h1, h2, article").first().waitFor();
      if (name === "chat") await page.locator(".katex, .hljs-keyword").nth(1).waitFor();
      if (name === "settings") await page.getByText("LLM_HOST").waitFor();
      await watched.expectAccessible();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(wide, name).toBeLessThanOrEqual(0);
    }
    await watched.close();
  });
});

it("a phone has the sidebar in a drawer", async () => {
  const watched = await Watched.open(browser, corral.url, "#/", PHONE);
  const { page } = watched;
  const list = page.getByTestId("sessions");
  await page.getByLabel("Message", { exact: true }).waitFor();
  expect(await list.isVisible()).toBe(false);
  await page.getByLabel("Open the sidebar").click();
  await list.getByText("Everything").click();
  await page.getByText("All of it, please").waitFor();
  await expect.poll(() => list.isVisible()).toBe(false);
  await page.getByLabel("Message", { exact: true }).fill("What is the capital of France?");
  await page.getByLabel("Send").tap();
  await page.getByTestId("answer").nth(1).waitFor();
  await watched.idle();
  await watched.close();
});

it("everything can be done by keyboard", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  const focused = () =>
    page.evaluate(
      () =>
        document.activeElement?.getAttribute("aria-label") ??
        document.activeElement?.textContent?.trim(),
    );
  await expect.poll(focused).toBe("Message");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Add text files");
  await page.keyboard.press("Tab");
  expect(await focused()).toMatch(/^Model/);
  await page.keyboard.press("Enter");
  await page.getByRole("listbox").waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Escape");
  expect(await focused()).toMatch(/^Model/);
  await watched.chooseModel(FIRST);
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.type("What is the capital of France?");
  await page.keyboard.press("Enter");
  await expect.poll(() => page.getByTestId("answer").innerText()).toContain("Paris");
  await watched.idle();
  await page.keyboard.press("Control+Shift+KeyO");
  await page.getByText("What is on your mind?").waitFor();
  const skip = page.getByRole("link", { name: "Skip to the content" });
  await skip.focus();
  expect((await skip.boundingBox())?.y).toBeGreaterThanOrEqual(0);
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("content");
  await watched.close();
});
