// Chromium without a screen, and what every test expects of a page.

import { seriousFindings } from "./axe";
import {
  type Browser,
  type BrowserContextOptions,
  type BrowserServer,
  chromium,
  type Page,
} from "playwright-core";
import { expect, inject } from "vitest";

const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

export const serveBrowser = (): Promise<BrowserServer> =>
  chromium.launchServer({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS,
  });

/** The browser that all files share. Closing it closes only what was opened with it. */
export const openBrowser = (): Promise<Browser> => chromium.connect(inject("browser"));

/** A page that notes what should never happen on it. */
export class Watched {
  readonly page: Page;
  readonly url: string;
  readonly faults: string[] = [];
  readonly #allowed: RegExp[] = [];

  private constructor(page: Page, url: string) {
    this.page = page;
    this.url = url;
    page.on("pageerror", (error) => this.faults.push(`error: ${error.message}`));
    page.on("dialog", (dialog) => {
      this.faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== url && !["data:", "blob:"].includes(protocol))
        this.faults.push(`foreign: ${request.url()}`);
    });
    page.on("console", (message) => {
      if (message.type() === "error") this.faults.push(`console: ${message.text()}`);
    });
  }

  static async open(
    browser: Browser,
    url: string,
    hash = "#/",
    options: BrowserContextOptions = {},
  ): Promise<Watched> {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: "en-GB",
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const watched = new Watched(page, url);
    await page.goto(`${url}/${hash}`);
    return watched;
  }

  /** Faults that this test provokes. */
  allow(pattern: RegExp): void {
    this.#allowed.push(pattern);
  }

  expectNoFaults(): void {
    const odd = this.faults.filter(
      (fault) => !this.#allowed.some((pattern) => pattern.test(fault)),
    );
    expect(odd).toEqual([]);
  }

  async expectAccessible(): Promise<void> {
    expect(await seriousFindings(this.page)).toEqual([]);
  }

  async send(text: string): Promise<void> {
    await this.page.getByLabel("Message", { exact: true }).fill(text);
    await this.page.keyboard.press("Enter");
  }

  async chooseModel(id: string): Promise<void> {
    await this.page.getByTestId("model-picker").click();
    await this.page.getByRole("option", { name: id }).click();
  }

  /** Until no answer is being written any more. */
  async idle(): Promise<void> {
    await this.page.getByTestId("stop").waitFor({ state: "hidden" });
  }

  async close(): Promise<void> {
    await this.page.context().close();
    this.expectNoFaults();
  }
}
