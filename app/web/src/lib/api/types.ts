// The wire as Corral speaks it. What is optional there is optional here.

export interface ErrorBody {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
}

export interface Page<T> {
  data: T[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

export interface Conversation {
  id: string;
  created_at: number;
  updated_at: number;
  metadata: Record<string, string>;
  head: string | null;
  model: string | null;
  preview: string | null;
  snippet?: string | null;
}

export interface ChatSettings {
  instructions?: string;
  sampling?: Sampling;
}

export interface Sampling {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  repeat_penalty?: number;
  seed?: number;
  max_output_tokens?: number;
}

export interface ContentPart {
  type: string;
  text?: string;
}

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export interface Item {
  id: string;
  type: string;
  status?: ItemStatus;
  role?: string;
  content?: ContentPart[];
  summary?: ContentPart[];
  name?: string;
  arguments?: string;
  call_id?: string;
  output?: string | ContentPart[];
  parent_id?: string | null;
  created_at?: number;
  response_id?: string | null;
  model?: string | null;
}

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  input_tokens_details?: { cached_tokens?: number };
}

export interface Timings {
  queue_seconds?: number | null;
  ttft_seconds?: number | null;
  total_seconds?: number | null;
  tokens_per_second?: number | null;
}

export interface ResponseObject {
  id: string;
  status: "queued" | "in_progress" | "completed" | "incomplete" | "failed" | "cancelled";
  model: string;
  error?: { code: string | null; message: string } | null;
  incomplete_details?: { reason: string } | null;
  output: Item[];
  usage?: Usage | null;
  timings?: Timings | null;
}

/** One server-sent event of a response; which fields there are depends on `type`. */
export interface ResponseEvent {
  type: string;
  sequence_number: number;
  response?: ResponseObject;
  item?: Item;
  item_id?: string;
  output_index?: number;
  delta?: string;
  text?: string;
  arguments?: string;
  code?: string | null;
  message?: string;
}

export type ModelState = "absent" | "cold" | "loading" | "hot" | "warm" | "draining" | "failed";

export interface Model {
  id: string;
  state: ModelState;
  size: number;
  memory: number | null;
  context_window: number;
  capabilities: string[];
  aliases?: string[];
  parameters?: number | null;
  quantization?: string | null;
  architecture?: string | null;
  description?: string | null;
  pinned?: boolean;
  expires_at?: number | null;
  leases?: number;
  error?: string | null;
}

export interface ModelList {
  models: Model[];
  memory: { used: number; budget: number };
  max_loaded_models?: number | null;
}

export interface Pull {
  id: string;
  model: string;
  stage: string;
  done: number;
  size: number | null;
  error: ErrorBody | null;
}

export interface Device {
  name: string;
  description: string;
  kind: string;
  memory_free: number;
  memory_total: number;
}

export interface StatusSample {
  time: number;
  running: number;
  waiting: number;
  generated_per_second: number;
  prompt_per_second: number;
  kv_tokens_used: number;
  kv_tokens_total: number;
  memory_used: number;
  ttft_seconds: number | null;
}

export interface EngineStatus {
  id: string;
  memory: number;
  generated_per_second: number;
  is_alive: boolean;
  running: number;
  waiting: number;
  parked: number;
  sequences_max: number;
  kv_tokens_used: number;
  kv_tokens_total: number;
  prompt_tokens: number;
  cached_tokens: number;
  generated_tokens: number;
}

export interface Status {
  state: "ready" | "loading" | "draining";
  version: string;
  llama_cpp: string;
  started_at: number;
  devices: Device[];
  memory: { used: number; budget: number };
  models: EngineStatus[];
  interval_seconds: number;
  samples: StatusSample[];
}

export interface LoggedRequest {
  number: number;
  ended_at: number;
  id: string;
  method: string;
  route: string;
  status: number;
  seconds: number;
  model?: string;
  key_id?: string;
  outcome?: string;
  error?: string;
  prompt_tokens?: number;
  cached_tokens?: number;
  completion_tokens?: number;
  ttft_seconds?: number;
  tokens_per_second?: number;
}

export interface Setting {
  name: string;
  variable: string;
  flag: string;
  value: string | null;
  default: string;
  source: "flag" | "environment" | "default";
  unit: string;
  description: string;
}
