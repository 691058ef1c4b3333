// The part of a long chat that is laid out: what is read, and some around it.

/** Turns from `start` to before `end`; `end` null goes along with the end of the chat. */
export interface Window {
  start: number;
  end: number | null;
}

const PORTION = 6; // as many turns as are made without keeping the page from answering
const MOST = 72;

/** A window counted from the end, where it stays while earlier turns are read in. */
export interface Place {
  before: number;
  after: number;
}

/** Where a chat is opened. More is added above until there is enough to scroll through. */
export const AT_END: Place = { before: PORTION, after: 0 };

export const placeOf = ({ start, end }: Window, total: number): Place => ({
  before: total - start,
  after: end === null ? 0 : total - end,
});

export const windowAt = ({ before, after }: Place, total: number): Window => ({
  start: Math.max(0, total - before),
  end: after === 0 ? null : Math.max(0, total - after),
});

export function growUp(view: Window, total: number): Window {
  const start = Math.max(0, view.start - PORTION);
  const end = Math.min(view.end ?? total, start + MOST);
  return { start, end: end === total ? null : end };
}

export function growDown(view: Window, total: number): Window {
  if (view.end === null) return view;
  const end = Math.min(total, view.end + PORTION);
  return { start: Math.max(view.start, end - MOST), end: end === total ? null : end };
}
