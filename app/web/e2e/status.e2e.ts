// Status, settings and keys.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBrowser, Watched } from "./support/browser";
import { Corral, ENDLESS, FIRST } from "./support/corral";

const KEY = "a key for tests";
let corral: Corral;
let guarded: Corral;
let browser: Browser;

beforeAll(async () => {
  corral = Corral.shared();
  guarded = Corral.make({ LLM_API_KEY: KEY });
  [, browser] = await Promise.all([guarded.start(), openBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await guarded?.close();
});

const chat = (model: string, max_tokens: number) => ({
  model,
  max_tokens,
  messages: [{ role: "user", content: "A secret question" }],
});

it("figures move while the engine works", async () => {
  const watched = await Watched.open(browser, corral.url, "#/status");
  const { page } = watched;
  const tiles = page.getByTestId("tiles");
  await expect.poll(() => tiles.innerText()).toMatch(/Ready/);
  const asked = corral.call("/v1/chat/completions", chat(ENDLESS, 2000));
  await expect
    .poll(() => tiles.innerText(), { interval: 200, timeout: 15_000 })
    .toMatch(/Running\s+1\s/);
  await expect
    .poll(() => tiles.innerText(), { interval: 200, timeout: 15_000 })
    .toMatch(/Generating\s+[1-9]/);
  await asked;
  await expect
    .poll(() => tiles.innerText(), { timeout: 15_000 })
    .toMatch(/First token\s+[\d.]+ m?s/);
  const plot = page.getByRole("img", { name: /Tokens per second/ });
  await expect
    .poll(() => plot.locator("path[fill=none]").first().getAttribute("d"))
    .toMatch(/L\d+/);
  expect(await page.getByText("CPU").first().isVisible()).toBe(true);
  await watched.close();
});

it("the log of requests is live, filtered, tells no prompt, and is copied as curl", async () => {
  const watched = await Watched.open(browser, corral.url, "#/status");
  const { page } = watched;
  await page
    .context()
    .grantPermissions(["clipboard-read", "clipboard-write"], { origin: corral.url });
  const log = page.getByTestId("log");
  await corral.call("/v1/chat/completions", chat(FIRST, 5));
  await fetch(`${corral.url}/v1/nothing`);
  const row = log
    .getByRole("row")
    .filter({ hasText: "/v1/chat/completions" })
    .filter({ hasText: FIRST });
  await row.first().waitFor();
  expect(await log.innerText()).not.toContain("secret question");
  await page.getByLabel("Kind of requests").selectOption("errors");
  await expect.poll(() => row.count()).toBe(0);
  expect(await log.innerText()).toContain("404");
  await page.getByLabel("Kind of requests").selectOption("all");
  await page.getByLabel("Filter the requests").fill("completions");
  await expect.poll(() => log.innerText()).not.toContain("404");
  await row.first().getByLabel("Copy as curl").click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied).toContain(`curl -X POST '${corral.url}/v1/chat/completions'`);
  expect(copied).toContain(FIRST);
  await watched.close();
});

it("settings tell their values and where each came from", async () => {
  const watched = await Watched.open(browser, corral.url, "#/settings");
  const { page } = watched;
  const list = page.getByTestId("settings");
  await expect.poll(() => list.innerText()).toMatch(/LLM_MAX_QUEUE[^]*?99[^]*?environment/);
  await page.getByLabel("Changed only").check();
  await expect.poll(() => list.innerText()).not.toContain("LLM_MAX_BODY_BYTES");
  await page.getByLabel("Changed only").uncheck();
  await page.getByLabel("Filter the settings").fill("offload");
  await expect.poll(() => list.innerText()).toContain("LLM_GPU_LAYERS");
  expect(await list.innerText()).not.toContain("LLM_MAX_QUEUE");
  await watched.close();
});

it("a theme is chosen and kept", async () => {
  const watched = await Watched.open(browser, corral.url, "#/settings", { colorScheme: "light" });
  const { page } = watched;
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByText("Dark", { exact: true }).click();
  await expect.poll(background).not.toBe(light);
  await page.reload();
  expect(await background()).not.toBe(light);
  await page.getByText("System", { exact: true }).click();
  await expect.poll(background).toBe(light);
  await watched.close();
});

it("a server with keys is asked with one, for this tab or for good", async () => {
  const watched = await Watched.open(browser, guarded.url);
  watched.allow(/401/);
  const { page } = watched;
  await page.getByTestId("notice").getByText("The server asks for a key").waitFor();
  await page.getByRole("button", { name: "Enter key" }).click();
  await page.locator("input[type=password]").fill("wrong");
  await page.getByRole("button", { name: "Use key" }).click();
  await expect.poll(() => page.locator("body").innerText()).toContain("did not take this key");
  await page.locator("input[type=password]").fill(KEY);
  await page.getByRole("button", { name: "Use key" }).click();
  await page.getByText("The server took the key.").waitFor();
  await page.getByRole("link", { name: "New chat" }).click();
  await watched.chooseModel(FIRST);
  await watched.send("What is the capital of France?");
  await expect.poll(() => page.getByTestId("answer").innerText()).toContain("Paris");
  await watched.idle();

  const inOtherTab = async (): Promise<string> => {
    const other = await page.context().newPage();
    await other.goto(guarded.url);
    await other
      .getByText(/What is on your mind|asks for a key/)
      .first()
      .waitFor();
    const text = await other.getByRole("main").innerText();
    await other.close();
    return text;
  };
  expect(await inOtherTab()).toContain("asks for a key");
  await page.getByRole("link", { name: "Settings" }).click();
  await page.locator("input[type=password]").fill(KEY);
  await page.getByLabel("Keep it in this browser").check();
  await page.getByRole("button", { name: "Use key" }).click();
  await page.getByText("kept in this browser").waitFor();
  expect(await inOtherTab()).toContain("What is on your mind");
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  await watched.close();
});
