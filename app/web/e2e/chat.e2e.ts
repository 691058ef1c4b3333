// Chatting, as people do it, with real models.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBrowser, Watched } from "./support/browser";
import { Corral, ENDLESS, FIRST, SECOND, until } from "./support/corral";
import { Wire } from "./support/proxy";

let corral: Corral;
let browser: Browser;

beforeAll(async () => {
  [corral, browser] = await Promise.all([Corral.make().start(), openBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await corral?.close();
});

const running = (): Promise<number> => corral.metric("corral_requests_running");
const generated = (): Promise<number> => corral.metric("corral_generated_tokens_total");

it("answers come from two models in one session, and are there after a refresh and a restart", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  await watched.chooseModel(FIRST);
  await watched.send("What is the capital of France?");
  const answers = page.getByTestId("answer");
  await expect.poll(() => answers.first().innerText()).toContain("Paris");
  await watched.idle();
  await watched.chooseModel(SECOND);
  await watched.send("Thank you!");
  await expect.poll(() => answers.count()).toBe(2);
  await watched.idle();
  await expect
    .poll(() => answers.nth(0).getByTestId("figures").innerText())
    .toMatch(new RegExp(`${FIRST}.*tokens/s.*first token.*tokens`));
  await expect.poll(() => answers.nth(1).getByTestId("figures").innerText()).toContain(SECOND);
  expect(await page.getByTestId("context").innerText()).toMatch(/\d+ \/ [\d,]+/);
  expect(page.url()).toMatch(/#\/chat\/conv_/);
  const shown = await answers.allInnerTexts();

  await page.reload();
  await expect.poll(() => answers.count()).toBe(2);
  await page.getByTestId("sessions").getByText("What is the capital of France?").waitFor();

  await corral.end();
  watched.allow(/ERR_CONNECTION_REFUSED|Failed to load resource/);
  await corral.start();
  await page.reload();
  await expect.poll(() => answers.allInnerTexts()).toEqual(shown);
  await page.goto(`${corral.url}/#/`);
  await page.getByTestId("sessions").getByText("What is the capital of France?").click();
  await expect.poll(() => answers.count()).toBe(2);
  await watched.close();
});

it("Stop stops the engine, and what was written stays", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  await watched.chooseModel(ENDLESS);
  await watched.send("Go on for ever.");
  const stop = page.getByTestId("stop");
  await expect.poll(() => page.getByTestId("live-rate").innerText()).toContain("tokens/s");
  expect(await running()).toBe(1);
  await stop.click();
  await watched.idle();
  await until(async () => (await running()) === 0, "the engine to stop");
  const count = await generated();
  await new Promise((done) => setTimeout(done, 500));
  expect(await generated()).toBe(count);
  const text = await page.getByTestId("answer").innerText();
  expect(text).toContain("The answer ends here");
  await page.reload();
  await expect.poll(() => page.getByTestId("answer").innerText()).toContain("The answer ends here");
  await watched.close();
});

it("Enter sends, Shift-Enter makes a line", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  await watched.chooseModel(FIRST);
  await page.getByLabel("Message", { exact: true }).click();
  await page.keyboard.type("Hello");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("there");
  await page.keyboard.press("Enter");
  await expect.poll(() => page.getByTestId("user-message").innerText()).toBe("Hello\nthere");
  expect(await page.getByLabel("Message", { exact: true }).inputValue()).toBe("");
  await watched.idle();
  await watched.close();
});

it("a question is edited and answered again, on branches that are all kept", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  const answer = page.getByTestId("answer");
  const question = page.getByTestId("user-message");
  await watched.chooseModel(FIRST);
  await watched.send("What is the capital of France?");
  await expect.poll(() => answer.innerText()).toContain("Paris");
  await watched.idle();

  await answer.getByLabel("Answer again").click();
  await expect.poll(() => answer.getByLabel("Versions").innerText()).toBe("2 / 2");
  await watched.idle();

  await question.hover();
  await question.getByLabel("Edit").click();
  await page.getByLabel("Edit the message").fill("What is the capital of Italy?");
  await page.keyboard.press("Enter");
  await expect.poll(() => answer.innerText()).toContain("Rome");
  await watched.idle();
  await expect.poll(() => question.getByLabel("Versions").innerText()).toBe("2 / 2");

  await question.getByLabel("Previous version").click();
  await expect.poll(() => answer.innerText()).toContain("Paris");
  await page.reload();
  await expect.poll(() => answer.innerText()).toContain("Paris");
  await expect.poll(() => question.getByLabel("Versions").innerText()).toBe("1 / 2");
  await expect.poll(() => answer.getByLabel("Versions").innerText()).toBe("2 / 2");
  await watched.close();
});

it("a chat has a system prompt and sampling of its own", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  await watched.chooseModel(FIRST);
  await page.getByLabel("System prompt and sampling").click();
  await page.getByLabel("System prompt", { exact: true }).fill("You are a llama. ".repeat(50));
  await page.getByLabel("Longest answer").fill("3");
  await page.getByLabel("Temperature").fill("0.1");
  await page.getByRole("button", { name: "Save" }).click();
  await watched.send("Tell me about llamas.");
  await expect.poll(() => page.getByTestId("figures").innerText()).toContain("3 tokens");
  await page.reload();
  await page.getByTestId("answer").waitFor();
  await page.getByLabel("System prompt and sampling").click();
  await expect.poll(() => page.getByLabel("Longest answer").inputValue()).toBe("3");
  expect(await page.getByLabel("System prompt", { exact: true }).inputValue()).toContain("llama");
  await watched.close();
});

it("files of text go along, others are refused", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  await watched.chooseModel(FIRST);
  await page.getByLabel("Text files", { exact: true }).setInputFiles([
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("The code is ```42```.") },
    { name: "photo.jpg", mimeType: "image/jpeg", buffer: Buffer.from([0xff, 0xd8, 0, 1]) },
  ]);
  await page.getByText("photo.jpg is not a text file.").waitFor();
  await watched.send("What is the code?");
  await expect.poll(() => page.getByTestId("user-message").innerText()).toContain("notes.txt");
  await watched.idle();
  await page.reload();
  const said = page.getByTestId("user-message");
  await expect.poll(() => said.innerText()).toContain("notes.txt");
  expect(await said.innerText()).not.toContain("```");
  await watched.close();
});

it("an answer goes on after the connection was cut, with nothing lost or twice", async () => {
  const wire = await Wire.to(corral.port);
  const watched = await Watched.open(browser, wire.url);
  watched.allow(/ERR_|Failed to load resource/);
  const { page } = watched;
  await watched.chooseModel(ENDLESS);
  await watched.send("Talk.");
  await expect.poll(() => page.getByTestId("live-rate").innerText()).toContain("tokens/s");
  wire.cut();
  await page.getByText("The connection was cut").waitFor();
  wire.mend();
  await page.getByText("The connection was cut").waitFor({ state: "hidden" });
  expect(await running()).toBe(1);
  await page.getByTestId("stop").click();
  await watched.idle();
  const shown = await page.getByTestId("answer").locator(".prose").innerText();
  await page.reload();
  await expect.poll(() => page.getByTestId("answer").locator(".prose").innerText()).toBe(shown);
  wire.close();
  await watched.close();
});

it("two tabs stay in step, and a refreshed one goes on listening", async () => {
  const watched = await Watched.open(browser, corral.url);
  const { page } = watched;
  await watched.chooseModel(ENDLESS);
  await watched.send("Tell both tabs.");
  await page.getByTestId("live-rate").waitFor();
  await expect.poll(() => page.url()).toContain("conv_");

  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.getByTestId("stop").waitFor();
  await page.reload();
  await page.getByTestId("stop").waitFor();
  await page.getByTestId("stop").click();
  await watched.idle();
  await other.getByTestId("stop").waitFor({ state: "hidden" });
  const text = (tab: typeof page) => tab.getByTestId("answer").locator(".prose").innerText();
  await expect.poll(async () => (await text(other)) === (await text(page))).toBe(true);

  await page.bringToFront();
  const row = page
    .getByTestId("sessions")
    .getByRole("listitem")
    .filter({ hasText: "Tell both tabs." });
  await row.hover();
  await row.getByRole("button", { name: /^More/ }).click();
  await page.getByRole("menuitem", { name: "Rename" }).click();
  await page.getByLabel("Title").fill("In step");
  await page.keyboard.press("Enter");
  await other.getByTestId("sessions").getByText("In step").waitFor();
  await watched.close();
});

it("errors are said in plain words, with a way on", async () => {
  const watched = await Watched.open(browser, corral.url);
  watched.allow(/Failed to load resource|ERR_/);
  const { page } = watched;
  await watched.chooseModel(FIRST);
  await page.getByLabel("Message", { exact: true }).fill("llama ".repeat(40_000));
  await page.keyboard.press("Enter");
  const notice = page.getByTestId("notice");
  await expect
    .poll(() => notice.innerText(), { timeout: 30_000 })
    .toContain("no longer fits the model's context");
  expect(await notice.getByRole("button", { name: "Retry" }).count()).toBe(0);

  await page.getByRole("link", { name: "New chat" }).click();
  await watched.chooseModel(FIRST);
  await corral.end();
  await watched.send("What is the capital of France?");
  await expect.poll(() => notice.innerText()).toContain("cannot be reached");
  await expect.poll(() => page.getByTestId("user-message").innerText()).toContain("France");
  await corral.start();
  await notice.getByRole("button", { name: "Retry" }).click();
  await expect.poll(() => page.getByTestId("answer").innerText()).toContain("Paris");
  await watched.idle();
  await watched.close();
});
