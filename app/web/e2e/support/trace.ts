// What the page's own thread worked at, task by task. Its processor time, which does not grow when
// others keep the machine busy; a browser's "long tasks" are by the clock, and do.

import type { Browser, Page } from "playwright-core";

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  tdur?: number;
  args: { name?: string };
}

/** Milliseconds of processor time of each task of the page while `work` was done, longest first. */
export async function traceTasks(
  browser: Browser,
  page: Page,
  work: () => Promise<void>,
): Promise<number[]> {
  await browser.startTracing(page, { categories: ["toplevel"] });
  await work();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as {
    traceEvents: TraceEvent[];
  };
  const threads = new Set(
    traceEvents
      .filter((event) => event.name === "thread_name" && event.args.name === "CrRendererMain")
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  return traceEvents
    .filter((event) => event.name.endsWith("RunTask") && threads.has(`${event.pid} ${event.tid}`))
    .map((event) => (event.tdur ?? 0) / 1000)
    .toSorted((a, b) => b - a);
}
