// Work that may wait is done in short slices, between which the page answers and is painted.

const SLICE = 8; // milliseconds

const jobs: (() => void)[] = [];
const channel = new MessageChannel();
let isGoing = false;

channel.port1.onmessage = () => {
  const end = performance.now() + SLICE;
  while (jobs.length > 0 && performance.now() < end) {
    try {
      jobs.shift()?.();
    } catch (error) {
      reportError(error); // the other jobs are not to blame
    }
  }
  isGoing = jobs.length > 0;
  if (isGoing) channel.port2.postMessage(null);
};

/** Does `job`, which should be short, when there is time, and after those that came before it. */
export function later(job: () => void): void {
  jobs.push(job);
  if (isGoing) return;
  isGoing = true;
  channel.port2.postMessage(null);
}
