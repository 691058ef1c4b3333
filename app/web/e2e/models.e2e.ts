// Models: loaded and unloaded, pulled and deleted. The hub is a server on this machine.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { openBrowser, Watched } from "./support/browser";
import { Corral, ENDLESS, FIRST, SECOND } from "./support/corral";

let corral: Corral;
let browser: Browser;

beforeAll(async () => {
  corral = Corral.shared();
  browser = await openBrowser();
  await corral.call(`/admin/models/${FIRST}/load`, {});
});
afterAll(async () => {
  await browser?.close();
});

const card = (watched: Watched, id: string) => watched.page.locator(`[data-model="${id}"]`);
const state = (watched: Watched, id: string) => card(watched, id).getByTestId("state").innerText();

it("a model is loaded and unloaded", async () => {
  const watched = await Watched.open(browser, corral.url, "#/models");
  const { page } = watched;
  await expect.poll(() => state(watched, FIRST)).toContain("In memory");
  expect(await state(watched, SECOND)).toContain("On disk");
  expect(await state(watched, SECOND)).toMatch(/Fits (into memory|in the place of another)/);
  expect(await card(watched, FIRST).innerText()).toMatch(/4\.3M parameters.*Q8_0.*in memory/s);
  await page.getByRole("button", { name: `Load ${SECOND}` }).click();
  await expect.poll(() => state(watched, SECOND)).toContain("In memory");
  await page.getByRole("button", { name: `Unload ${SECOND}` }).click();
  await expect.poll(() => state(watched, SECOND)).toContain("On disk");
  await watched.close();
});

it("a model is pulled, with progress, and can chat", async () => {
  const watched = await Watched.open(browser, corral.url, "#/models");
  const { page } = watched;
  await page.getByLabel("Model to pull").fill(`${inject("hub")}/files/quick.gguf`);
  await page.getByRole("button", { name: "Pull", exact: true }).click();
  const pull = page.getByTestId("pull").filter({ hasText: "quick.gguf" });
  await pull.getByRole("progressbar").waitFor();
  await expect.poll(() => pull.innerText()).toMatch(/of 4\.5 MiB/);
  const id = "127.0.0.1/files/quick";
  await card(watched, id).waitFor({ timeout: 45_000 });
  await pull.waitFor({ state: "hidden" });

  await page.getByRole("link", { name: "New chat" }).click();
  await watched.chooseModel(id);
  await watched.send("What is the capital of France?");
  await expect.poll(() => page.getByTestId("answer").innerText()).toContain("Paris");
  await watched.idle();
  await watched.close();
});

it("a pull is cancelled, and what cannot be had is said", async () => {
  const watched = await Watched.open(browser, corral.url, "#/models");
  watched.allow(/400|403/);
  const { page } = watched;
  await page.getByLabel("Model to pull").fill(`${inject("hub")}/files/slow.gguf`);
  await page.getByRole("button", { name: "Pull", exact: true }).click();
  const pull = page.getByTestId("pull").filter({ hasText: "slow.gguf" });
  await expect.poll(() => pull.innerText()).toMatch(/\d %/);
  await pull.getByRole("button", { name: /^Cancel/ }).click();
  await pull.waitFor({ state: "hidden" });

  await page.getByLabel("Model to pull").fill(`${inject("hub")}/files/missing.gguf`);
  await page.getByRole("button", { name: "Pull", exact: true }).click();
  await page
    .getByTestId("pull")
    .filter({ hasText: "missing.gguf" })
    .getByRole("button", { name: "Retry" })
    .waitFor();

  await page.getByLabel("Model to pull").fill("https://elsewhere.example/a.gguf");
  await page.getByRole("button", { name: "Pull", exact: true }).click();
  await page
    .getByRole("status")
    .getByText(/elsewhere\.example|LLM_PULL_SOURCES/)
    .waitFor();
  await watched.close();
});

it("a model is deleted, after it was asked whether", async () => {
  const watched = await Watched.open(browser, corral.url, "#/models");
  const { page } = watched;
  const id = "127.0.0.1/files/quick";
  await page.getByRole("button", { name: `Delete ${id}` }).click();
  await page.getByRole("button", { name: "Keep it" }).click();
  await card(watched, id).waitFor();
  await page.getByRole("button", { name: `Delete ${id}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await card(watched, id).waitFor({ state: "hidden" });
  await card(watched, ENDLESS).waitFor();
  await watched.close();
});
