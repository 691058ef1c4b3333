import type { ErrorBody } from "./types";

/** An answer that is an error, or no answer at all (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfter: number | null;

  constructor(status: number, code: string, message: string, retryAfter: number | null = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  get isNetwork(): boolean {
    return this.status === 0;
  }
}

export async function errorOf(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  let body: Partial<ErrorBody> = {};
  try {
    body = ((await response.json()) as { error?: Partial<ErrorBody> }).error ?? {};
  } catch {
    // a proxy's page, not ours: the status has to do
  }
  const message = body.message ?? `The server answered ${response.status}.`;
  return new ApiError(response.status, body.code ?? `http_${response.status}`, message, retryAfter);
}

/** What happened, and what to do, for people. */
export interface Explanation {
  title: string;
  detail: string;
  canRetry: boolean;
}

const TITLES: Record<string, string> = {
  context_length_exceeded: "This chat no longer fits the model's context",
  queue_full: "The server is busy",
  queue_timeout: "The server is busy",
  out_of_memory: "There is not enough memory for this model",
  model_loading: "The model is still loading",
  model_load_failed: "The model could not be loaded",
  model_not_found: "This model is not on the server any more",
  model_not_downloaded: "This model has not been downloaded",
  model_busy: "The model is in use",
  draining: "The server is shutting down",
  engine_failed: "The model stopped in the middle of the answer",
  invalid_api_key: "The server asks for a key",
  template_error: "The model cannot take this conversation",
  request_too_large: "This message is too large",
  pull_failed: "The model could not be downloaded",
  pull_refused: "This server does not pull from there",
  source_not_found: "There is no such model to pull",
  disk_full: "The server's disk is full",
  store_unavailable: "Chats cannot be read or kept right now",
  internal_error: "Something went wrong in the server",
  http_429: "The server is busy",
  http_502: "The server cannot be reached",
  http_503: "The server is not ready",
  http_504: "The server took too long to answer",
};
const HINTS: Record<string, string> = {
  context_length_exceeded:
    "Start a new chat, shorten the message, or choose a model with a larger context.",
  queue_full: "Others are being answered first. Try again in a moment.",
  queue_timeout: "Others are being answered first. Try again in a moment.",
  out_of_memory: "Unload another model on the Models page, then try again.",
  model_loading: "Try again in a moment.",
  model_not_found: "Choose another model below the message.",
  draining: "It will be back when it has been restarted.",
  disk_full: "Make room on it, for example by deleting a model.",
  internal_error: "Its log says what it was.",
  invalid_api_key: "Enter it in the settings, then try again.",
};
const FINAL = new Set(["context_length_exceeded", "request_too_large", "template_error"]);

export function explain(error: unknown): Explanation {
  if (!(error instanceof ApiError)) {
    return { title: "Something went wrong here", detail: String(error), canRetry: true };
  }
  if (error.isNetwork) {
    return {
      title: "The server cannot be reached",
      detail: "Is it running? What was answered so far is kept there.",
      canRetry: true,
    };
  }
  const title = TITLES[error.code] ?? "The server could not do this";
  let hint = HINTS[error.code];
  const wait = error.retryAfter;
  if (wait) hint = hint?.replace("in a moment", `in ${wait} ${wait === 1 ? "second" : "seconds"}`);
  return {
    title,
    detail: hint ? `${hint} (${error.message})` : error.message,
    canRetry: !FINAL.has(error.code),
  };
}
