// What all files share: one browser, one server, one hub. Started once, before the first of them.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { serveBrowser } from "./browser";
import { Corral, writeEndless } from "./corral";
import { Hub } from "./hub";

declare module "vitest" {
  interface ProvidedContext {
    browser: string;
    corral: string;
    endless: string;
    hub: string;
  }
}

/** Starts it all; returns how to end it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "corral-web-"));
  const endless = join(folder, "endless.gguf");
  writeEndless(endless);
  const [hub, browser] = await Promise.all([Hub.start(), serveBrowser()]);
  const settings = { LLM_MAX_QUEUE: "99", LLM_PULL_SOURCES: `${hub.url}/` };
  const corral = await Corral.make(settings, endless).start();
  project.provide("browser", browser.wsEndpoint());
  project.provide("corral", corral.url);
  project.provide("endless", endless);
  project.provide("hub", hub.url);
  return async () => {
    await browser.close();
    await corral.close();
    hub.close();
    rmSync(folder, { recursive: true, force: true });
  };
}
