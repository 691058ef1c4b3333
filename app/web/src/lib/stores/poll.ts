import { untrack } from "svelte";

/** Calls `work` now and again while the page is seen, one call at a time. Returns how to stop. */
export function poll(work: () => Promise<void>, seconds: () => number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  let isRunning = false;

  async function turn(): Promise<void> {
    clearTimeout(timer);
    if (isRunning || isOver) return;
    isRunning = true;
    try {
      if (!document.hidden) await work();
    } finally {
      isRunning = false;
      if (!isOver) timer = setTimeout(() => void turn(), seconds() * 1000);
    }
  }

  const onSeen = (): void => void (document.hidden || turn());
  document.addEventListener("visibilitychange", onSeen);
  untrack(() => void turn()); // what `work` reads is no reason to begin anew
  return () => {
    isOver = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onSeen);
  };
}
