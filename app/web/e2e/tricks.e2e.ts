// What models, titles and tools say stays text.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBrowser, Watched } from "./support/browser";
import { Corral } from "./support/corral";
import { makeConversation, said } from "./support/made";
import { TRICKS } from "./support/tricks";

let corral: Corral;
let browser: Browser;

beforeAll(async () => {
  [corral, browser] = await Promise.all([Corral.makeScripted().start(), openBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await corral?.close();
});

async function open(hash: string): Promise<Watched> {
  const watched = await Watched.open(browser, corral.url);
  watched.allow(/404/);
  await watched.page.addInitScript(() => {
    const counter = globalThis as unknown as { hits: number; hit: () => void };
    counter.hits = 0;
    counter.hit = () => counter.hits++;
  });
  await watched.page.goto(`${corral.url}/${hash}`);
  await watched.page.reload();
  return watched;
}

/** Nothing ran, nothing was put into the page, and nothing does when it is clicked. */
async function expectInert(page: Page): Promise<void> {
  await page.evaluate(() => {
    const inside = document.querySelectorAll<HTMLElement>("[data-testid=transcript] .prose *");
    for (const element of inside) {
      element.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
      if (!(element instanceof HTMLAnchorElement)) element.click?.();
    }
  });
  await page.waitForTimeout(200);
  const found = await page.evaluate(() => {
    const root = document.querySelector("main");
    const banned =
      "script,style,link,meta,base,iframe,object,embed,form[action],img:not([src='./icon.svg']),video,audio,template,noscript";
    const all = [...(root?.querySelectorAll("*") ?? [])];
    const links = [...(root?.querySelectorAll("a") ?? [])].map(
      (link) => link.getAttribute("href") ?? "",
    );
    return {
      hits: (globalThis as unknown as { hits: number }).hits,
      banned: [...(root?.querySelectorAll(banned) ?? [])].map((element) => element.outerHTML),
      handlers: all.flatMap((element) =>
        element.getAttributeNames().filter((name) => name.startsWith("on")),
      ),
      links: links.filter((href) => href !== "" && !/^(https?:|mailto:|#)/i.test(href)),
      covers: all.filter(
        (element) => element.matches(".prose *") && getComputedStyle(element).position === "fixed",
      ).length,
    };
  });
  expect(found).toEqual({ hits: 0, banned: [], handlers: [], links: [], covers: 0 });
}

it("there are enough of them", () => expect(TRICKS.length).toBeGreaterThanOrEqual(40));

// in two chats: of a long one only a part is laid out
it.each([
  [0, 25],
  [25, TRICKS.length],
])(
  "tricks %i to %i are inert in answers, thoughts, tool calls, questions and files",
  async (first, end) => {
    const tricks = TRICKS.slice(first, end);
    const items = tricks.flatMap((trick, index) => [
      said("user", trick),
      { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: trick }] },
      {
        type: "function_call",
        call_id: `call_${index}`,
        name: "f",
        arguments: JSON.stringify({ trick }),
      },
      { type: "function_call_output", call_id: `call_${index}`, output: trick },
      said("assistant", trick),
    ]);
    items.push(
      said("user", `File \`<img src=x onerror=top.hit()>\`:\n\`\`\`\n${tricks[0]}\n\`\`\``),
    );
    const made = await corral.import([makeConversation({ title: tricks[2]!, items })]);
    const watched = await open(`#/chat/${made.data[0]?.id}`);
    const { page } = watched;
    const transcript = page.getByTestId("transcript");
    const answers = page.getByTestId("answer");
    await answers.first().waitFor();
    await expect
      .poll(async () => {
        await transcript.evaluate((view) => (view.scrollTop = 0));
        return answers.count();
      })
      .toBe(tricks.length);
    await page.evaluate(() =>
      document.querySelectorAll("details").forEach((details) => (details.open = true)),
    );
    await page.waitForTimeout(1000); // mathematics and colours come a little later
    await expectInert(page);
    expect(await transcript.textContent()).toContain(tricks[2]);
    await watched.close();
  },
);

it("tricks are inert in titles and in what a search finds", async () => {
  await corral.import(TRICKS.map((trick) => makeConversation({ title: trick.slice(0, 500) })));
  const watched = await open("#/");
  const { page } = watched;
  await page.getByTestId("sessions").getByText("<svg onload", { exact: false }).first().waitFor();
  await page.getByLabel("Search all chats").fill("onerror");
  await page.waitForTimeout(500);
  expect(await page.evaluate(() => (globalThis as unknown as { hits: number }).hits)).toBe(0);
  expect(
    await page
      .locator("nav script, nav svg[onload], nav iframe, nav img:not([src='./icon.svg'])")
      .count(),
  ).toBe(0);
  await watched.close();
});

it("tricks are inert while they are streamed, piece by piece", async () => {
  const watched = await open("#/");
  const { page } = watched;
  await watched.send(
    TRICKS.filter((trick) => !trick.includes("\n"))
      .map((trick) => `say ${trick}`)
      .join("\n"),
  );
  await page.getByTestId("answer").waitFor();
  await watched.idle();
  await expect.poll(() => page.getByTestId("answer").innerText()).toContain("<script>");
  await expectInert(page);
  await watched.close();
});

it("the policy stops what would get past the sanitiser", async () => {
  const watched = await open("#/");
  watched.allow(/Content Security Policy|Trusted(HTML|Script)/);
  const { page } = watched;
  const refused = await page.evaluate(() => {
    const outcomes: string[] = [];
    const attempt = (name: string, work: () => void): void => {
      try {
        work();
      } catch {
        outcomes.push(name);
      }
    };
    attempt("innerHTML", () => (document.createElement("div").innerHTML = "<img src=x>"));
    // a debugger may eval whatever the policy says, so a timer has to do
    attempt("timer", () => void setTimeout("top.hit()" as unknown as () => void));
    const script = document.createElement("script");
    script.append("top.hit()");
    attempt("script", () => document.body.append(script));
    const handler = document.createElement("button");
    attempt("handler", () => handler.setAttribute("onclick", "top.hit()"));
    handler.click();
    return outcomes;
  });
  expect(refused).toEqual(expect.arrayContaining(["innerHTML", "handler"]));
  await page.waitForTimeout(200);
  expect(await page.evaluate(() => (globalThis as unknown as { hits: number }).hits)).toBe(0);
  await watched.close();
});
