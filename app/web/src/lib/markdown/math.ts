// Mathematics, loaded when the first formula is shown. KaTeX builds elements; it gets no trust.

import { later } from "$lib/slices";

type Katex = typeof import("katex").default;

const MOST_KEPT = 200;

let loading: Promise<Katex> | undefined;
let katex: Katex | undefined;
/** Formulas as they were built, for a stream shows the same ones again and again. */
const built = new Map<string, DocumentFragment>();

/** Shows the formulas in `root`: at once where they are shown again, or else when there is time. */
export async function renderMath(root: ParentNode, isOpen: boolean): Promise<void> {
  const formulas = root.querySelectorAll<HTMLElement>("span.math:not([data-done])");
  if (formulas.length === 0) return;
  loading ??= import("./katex").then((module) => (katex = module.katex));
  loading.catch(() => (loading = undefined)); // the server was away: the next formula asks again
  if (katex === undefined) await loading;
  for (const formula of formulas) {
    if (isOpen) show(formula);
    else later(() => show(formula));
  }
}

function show(formula: HTMLElement): void {
  if (formula.dataset.done !== undefined) return; // asked for twice while KaTeX was loaded
  const tex = formula.textContent ?? "";
  const isShown = formula.dataset.shown !== undefined;
  formula.dataset.done = "";
  const name = `${isShown} ${tex}`;
  const known = built.get(name) ?? build(tex, isShown);
  built.delete(name); // the newest last
  built.set(name, known);
  if (built.size > MOST_KEPT) built.delete(built.keys().next().value ?? "");
  formula.replaceChildren(known.cloneNode(true));
}

function build(tex: string, displayMode: boolean): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const place = document.createElement("span");
  try {
    katex?.render(tex, place, {
      displayMode,
      trust: false,
      strict: "ignore",
      maxSize: 20,
      maxExpand: 200,
    });
    fragment.append(...place.childNodes);
  } catch {
    fragment.append(tex); // what is no formula is shown as it was written
  }
  return fragment;
}
