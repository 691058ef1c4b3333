import * as admin from "$lib/api/admin";
import type { LoggedRequest, Status, StatusSample } from "$lib/api/types";
import { poll } from "./poll";

const KEPT_SAMPLES = 300;
const KEPT_REQUESTS = 500;

class StatusStore {
  now = $state.raw<Status | null>(null);
  samples = $state.raw<StatusSample[]>([]);
  requests = $state.raw<LoggedRequest[]>([]);
  error = $state.raw<unknown>(null);

  watch(): () => void {
    return poll(
      () => this.#read(),
      () => 1,
    );
  }

  async #read(): Promise<void> {
    try {
      const past = this.now;
      const [status, requests] = await Promise.all([
        admin.status(this.samples.at(-1)?.time ?? 0),
        admin.requests(this.requests[0]?.number ?? 0),
      ]);
      if (past !== null && past.started_at !== status.started_at) {
        this.#forget(); // another server: its numbers begin anew
        return;
      }
      this.now = status;
      this.samples = [...this.samples, ...status.samples].slice(-KEPT_SAMPLES);
      this.requests = [...requests.reverse(), ...this.requests].slice(0, KEPT_REQUESTS);
      this.error = null;
    } catch (error) {
      this.error = error;
    }
  }

  #forget(): void {
    this.now = null;
    this.samples = [];
    this.requests = [];
  }
}

export const status = new StatusStore();
