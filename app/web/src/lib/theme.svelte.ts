import { inBrowser, write } from "$lib/storage";

export type Theme = "system" | "light" | "dark";

const NAME = "corral.theme"; // public/theme.js reads it before the first paint

class ThemeStore {
  value = $state<Theme>((document.documentElement.dataset.theme as Theme | undefined) ?? "system");

  set(theme: Theme): void {
    this.value = theme;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    write(inBrowser, NAME, theme);
  }
}

export const theme = new ThemeStore();
