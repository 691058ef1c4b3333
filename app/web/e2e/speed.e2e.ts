// How heavy the first view is, and how smooth it stays: while text streams in, with many sessions,
// in a long chat.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBrowser, Watched } from "./support/browser";
import { Corral } from "./support/corral";
import { makeConversation, said } from "./support/made";
import { traceTasks } from "./support/trace";
import { Typist } from "./support/typist";

const MOST_FIRST_VIEW = 250_000; // bytes, packed
const LONG_TASK = 50; // milliseconds, as browsers define it; here of the processor's time
const PACE = 600; // tokens a second, twice what has to be shown without a long task

let corral: Corral;
let browser: Browser;

beforeAll(async () => {
  corral = Corral.shared();
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
});

const words = (count: number): string => "wool and hay for every llama ".repeat(count / 6);
const repeat = (count: number, write: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => write(index)).join("\n");

/** All that is costly to show, each longer than in most answers. */
const RICH = [
  "# A long list\n",
  repeat(120, (at) => `${at + 1}. **Item ${at}**: ${words(12)}, with \`code\` and *more*`),
  "\n## A long table\n\n| a | b | c | d |\n|---|--:|---|:-:|",
  repeat(100, (at) => `| row | ${at * 7} | \`code\` | **bold** |`),
  `\nA long paragraph. ${words(600)}\n\n\`\`\`typescript`,
  repeat(120, (at) => `export function f${at}(text: string): number {\n  return text.length;\n}\n`),
  "```\n",
  repeat(12, (at) => `Then $x^${at}$, and so\n\n$$\\sum_{k=0}^{${at}} \\frac{k^2}{1+k}$$\n`),
  "The end.",
].join("\n");

function expectSmooth(tasks: number[], what: string): void {
  const longest = tasks.slice(0, 3).map((time) => time.toFixed(1));
  console.log(`${what}: ${tasks.length} tasks, the longest ${longest.join(", ")} ms of processor`);
  expect(tasks.length, what).toBeGreaterThan(20);
  expect(tasks[0], what).toBeLessThan(LONG_TASK);
}

it("the first view is light", async () => {
  const watched = await Watched.open(browser, "about:blank", "", {
    extraHTTPHeaders: { "accept-encoding": "gzip" },
  });
  const { page } = watched;
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  let bytes = 0;
  session.on("Network.loadingFinished", (event) => void (bytes += event.encodedDataLength));
  watched.allow(/foreign/);
  await page.goto(corral.url);
  await page.getByText("What is on your mind?").waitFor();
  console.log(`first view: ${bytes} bytes`);
  expect(bytes).toBeGreaterThan(20_000);
  expect(bytes).toBeLessThan(MOST_FIRST_VIEW);
  await watched.close();
});

it("a page that is only looked at asks for little", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  for (const [hash, most] of Object.entries({ "#/": 3, "#/models": 5, "#/status": 12 })) {
    await page.goto(`${corral.url}/${hash}`);
    await page.waitForTimeout(1500);
    let count = 0;
    const onRequest = (): void => void count++;
    page.on("request", onRequest);
    await page.waitForTimeout(4000);
    page.off("request", onRequest);
    expect(count, hash).toBeLessThanOrEqual(most);
  }
  await watched.close();
});

it("a fast stream is shown without long tasks", async () => {
  const typist = await Typist.start(corral.url, RICH, PACE);
  const watched = await Watched.open(browser, typist.url);
  const { page } = watched;
  await page.getByText("What is on your mind?").waitFor();
  await page.waitForTimeout(1000);
  const tasks = await traceTasks(browser, page, async () => {
    await watched.send("Talk fast.");
    await page.getByText("The end.").waitFor({ timeout: 120_000 });
  });
  expectSmooth(tasks, "streaming");
  await watched.close();
  typist.close();
});

it("500 sessions and a chat of 2,000 messages stay smooth", async () => {
  const now = Date.now() / 1000;
  const sessions = Array.from({ length: 500 }, (_, index) =>
    makeConversation({ title: `Session ${index}`, at: now - 100 - index * 7000 }),
  );
  const text =
    "Some **text** with `code`, and a list:\n\n- one\n- two\n\n```python\nprint('hello')\n```";
  const items = Array.from({ length: 1000 }, (_, index) => [
    said("user", `Question ${index}`),
    said("assistant", `Answer ${index}. ${text}`),
  ]).flat();
  const made = await corral.import([
    makeConversation({ title: "The long one", at: now, items }),
    ...sessions,
  ]);

  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  const list = page.getByTestId("sessions");
  await list.getByText("The long one").waitFor();
  const listed = await traceTasks(browser, page, async () => {
    while ((await list.getByText("Session 499", { exact: true }).count()) === 0) {
      await list.evaluate((view) => (view.scrollTop = view.scrollHeight));
      await page.waitForTimeout(50);
    }
  });
  expectSmooth(listed, "500 sessions");

  await list.evaluate((view) => (view.scrollTop = 0));
  const transcript = page.getByTestId("transcript");
  const opened = await traceTasks(browser, page, async () => {
    const start = Date.now();
    await page.goto(`${corral.url}/#/chat/${made.data[0]?.id}`);
    await page.getByText("Answer 999.").waitFor();
    console.log(`the end of 2,000 messages was there after ${Date.now() - start} ms`);
    await expect
      .poll(() =>
        transcript.evaluate((view) => view.scrollHeight - view.scrollTop - view.clientHeight),
      )
      .toBeLessThan(60);
  });
  expectSmooth(opened, "opening 2,000 messages");
  const first = page.getByText("Question 0", { exact: true });
  const scrolled = await traceTasks(browser, page, async () => {
    for (let turn = 0; turn < 4000 && (await first.count()) === 0; turn++) {
      await transcript.evaluate((view) => (view.scrollTop = Math.max(0, view.scrollTop - 6000)));
      await page.waitForTimeout(20);
    }
  });
  expect(await first.count()).toBe(1);
  expectSmooth(scrolled, "scrolling through 2,000 messages");
  await watched.close();
}, 300_000);
