// The list of sessions: of all models, by day, searched and kept in order.

import { text } from "node:stream/consumers";
import type { Browser, Download } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBrowser, Watched } from "./support/browser";
import { Corral } from "./support/corral";
import { makeConversation, said } from "./support/made";

const DAY = 86_400;
let corral: Corral;
let browser: Browser;

beforeAll(async () => {
  corral = Corral.shared();
  browser = await openBrowser();
  await corral.clear();
  const now = Date.now() / 1000;
  await corral.import([
    makeConversation({ title: "Old wool", at: now - 40 * DAY }),
    makeConversation({ title: "Fences", at: now - DAY }),
    makeConversation({
      title: "Feeding",
      at: now - 60,
      items: [said("user", "What do they eat?"), said("assistant", "Mostly **hay** and alfalfa.")],
    }),
  ]);
});
afterAll(async () => {
  await browser?.close();
});

const sessions = (watched: Watched) => watched.page.getByTestId("sessions");
const row = (watched: Watched, title: string) =>
  sessions(watched).getByRole("listitem").filter({ hasText: title });

const read = async (download: Download): Promise<string> => text(await download.createReadStream());

async function choose(watched: Watched, title: string, action: string): Promise<void> {
  await row(watched, title).hover();
  await row(watched, title).getByRole("button", { name: /^More/ }).click();
  await watched.page.getByRole("menuitem", { name: action, exact: true }).click();
}

it("sessions are grouped by day, the newest first", async () => {
  const watched = await Watched.open(browser, corral.url);
  await row(watched, "Feeding").waitFor();
  const lines = (await sessions(watched).innerText()).split("\n").filter(Boolean);
  expect(lines.slice(0, 4)).toEqual(["Today", "Feeding", "Yesterday", "Fences"]);
  expect(lines[4]).toMatch(/^\d+ \w+/);
  expect(lines[5]).toBe("Old wool");
  await watched.close();
});

it("search finds words of any session, and shows where", async () => {
  const watched = await Watched.open(browser, corral.url);
  await watched.page.getByLabel("Search all chats").fill("alfalfa");
  await expect.poll(() => row(watched, "Feeding").innerText()).toContain("alfalfa");
  await expect.poll(() => row(watched, "Fences").count()).toBe(0);
  await watched.page.getByLabel("Search all chats").fill("zebra");
  await watched.page.getByText("No chat has these words.").waitFor();
  await watched.page.getByLabel("Search all chats").fill("");
  await row(watched, "Fences").waitFor();
  await watched.close();
});

it("a session is pinned, renamed, and stays so", async () => {
  const watched = await Watched.open(browser, corral.url);
  await row(watched, "Old wool").waitFor();
  await choose(watched, "Old wool", "Pin");
  await expect
    .poll(async () => (await sessions(watched).innerText()).split("\n")[0])
    .toBe("Pinned");
  await choose(watched, "Old wool", "Rename");
  await watched.page.getByLabel("Title").fill("Fine wool");
  await watched.page.getByRole("button", { name: "Rename" }).click();
  await row(watched, "Fine wool").waitFor();
  await watched.page.reload();
  await row(watched, "Fine wool").waitFor();
  const lines = (await sessions(watched).innerText()).split("\n").filter(Boolean);
  expect(lines.slice(0, 2)).toEqual(["Pinned", "Fine wool"]);
  await choose(watched, "Fine wool", "Unpin");
  await expect.poll(() => sessions(watched).innerText()).not.toContain("Pinned");
  await watched.close();
});

it("deleting can be undone, and is done when it is not", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  await row(watched, "Fences").waitFor();
  await choose(watched, "Fences", "Delete");
  await row(watched, "Fences").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Undo" }).click();
  await row(watched, "Fences").waitFor();
  await choose(watched, "Fences", "Delete");
  await page.reload(); // whoever leaves meant it
  await row(watched, "Feeding").waitFor();
  await expect.poll(() => row(watched, "Fences").count()).toBe(0);
  await expect
    .poll(async () => (await corral.call<{ data: unknown[] }>("/v1/conversations")).data.length)
    .toBe(2);
  await watched.close();
});

it("one session is exported as Markdown, all as lines of JSON that can be imported", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  await row(watched, "Feeding").waitFor();
  const [one] = await Promise.all([
    page.waitForEvent("download"),
    choose(watched, "Feeding", "Export"),
  ]);
  expect(one.suggestedFilename()).toBe("Feeding.md");
  const written = await read(one);
  expect(written).toContain("## You\n\nWhat do they eat?");
  expect(written).toContain("Mostly **hay** and alfalfa.");

  await page.getByRole("link", { name: "Settings" }).click();
  const [all] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export" }).click(),
  ]);
  const lines = await read(all);
  expect(lines.trim().split("\n")).toHaveLength(2);
  const buffer = Buffer.from(lines);
  const file = { name: "chats.jsonl", mimeType: "application/x-ndjson", buffer };
  await page.getByLabel("File of chats").setInputFiles(file);
  await page.getByText("The chats were imported.").waitFor();
  await expect.poll(() => row(watched, "Feeding").count()).toBe(2);
  await watched.close();
});

it("a session has an address of its own, and one that is gone says so", async () => {
  const watched = await Watched.open(browser, corral.url);
  watched.allow(/404/);
  const { page } = watched;
  await row(watched, "Feeding").first().click();
  await page.getByText("What do they eat?").waitFor();
  const address = page.url();
  await page.goto(`${corral.url}/#/models`);
  await page.goBack();
  expect(page.url()).toBe(address);
  await page.getByText("What do they eat?").waitFor();
  await page.goto(`${corral.url}/#/chat/conv_nobody`);
  await page.getByTestId("notice").waitFor();
  await watched.close();
});
