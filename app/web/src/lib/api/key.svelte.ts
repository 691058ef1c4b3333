// The API key that people enter: for this tab, or kept in this browser.

import { inBrowser, inTab, read, write } from "$lib/storage";

const NAME = "corral.key";

class KeyStore {
  value = $state("");
  isKept = $state(false);
  /** Whether the server has refused a request for want of a key. */
  isWanted = $state(false);

  constructor() {
    const kept = read(inBrowser, NAME);
    this.value = kept || read(inTab, NAME);
    this.isKept = kept !== "";
  }

  set(value: string, isKept: boolean): void {
    this.value = value.trim();
    this.isKept = isKept && this.value !== "";
    this.isWanted = false;
    write(inBrowser, NAME, this.isKept ? this.value : "");
    write(inTab, NAME, this.isKept ? "" : this.value);
  }
}

export const key = new KeyStore();
