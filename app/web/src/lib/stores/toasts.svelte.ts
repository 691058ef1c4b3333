import { explain } from "$lib/api/errors";

export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "error";
  action: { label: string; run: () => void } | null;
}

const SECONDS = 6;

class ToastStore {
  all = $state.raw<Toast[]>([]);
  #last = 0;

  /** Shows a text for some seconds. `onGone` is called then, unless the action was chosen. */
  show(
    text: string,
    more: { tone?: Toast["tone"]; action?: Toast["action"]; onGone?: () => void } = {},
  ): void {
    const id = ++this.#last;
    const timer = setTimeout(() => {
      this.#drop(id);
      more.onGone?.();
    }, SECONDS * 1000);
    const action = more.action && {
      label: more.action.label,
      run: () => {
        clearTimeout(timer);
        this.#drop(id);
        more.action?.run();
      },
    };
    this.all = [...this.all, { id, text, tone: more.tone ?? "plain", action: action ?? null }];
  }

  fail(error: unknown): void {
    const { title, detail } = explain(error);
    this.show(`${title}. ${detail}`, { tone: "error" });
  }

  #drop(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id);
  }
}

export const toasts = new ToastStore();
