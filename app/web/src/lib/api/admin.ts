import { getJson, postJson, queryOf, remove } from "./client";
import type { LoggedRequest, Model, ModelList, Pull, Setting, Status } from "./types";

const path = (id: string): string =>
  `/admin/models/${id.split("/").map(encodeURIComponent).join("/")}`;

export const models = (): Promise<ModelList> => getJson("/admin/models");
export const load = (id: string): Promise<Model> => postJson(`${path(id)}/load`);
export const unload = (id: string): Promise<unknown> => postJson(`${path(id)}/unload`);
export const drop = (id: string): Promise<void> => remove(path(id));

export const pulls = async (): Promise<Pull[]> => {
  const answer = await getJson<{ pulls: Pull[] }>("/admin/pulls");
  return answer.pulls;
};
/** The short names of models that can be pulled. */
export const registry = async (): Promise<string[]> => {
  const answer = await getJson<{ models: { name: string }[] }>("/admin/registry");
  return answer.models.map((model) => model.name);
};
export const pull = (model: string): Promise<Pull> => postJson("/admin/pulls", { model });
export const cancelPull = (id: string): Promise<void> => remove(`/admin/pulls/${id}`);

export const status = (since: number, signal?: AbortSignal): Promise<Status> =>
  getJson(`/admin/status${queryOf({ since })}`, signal);

export const requests = async (after: number): Promise<LoggedRequest[]> => {
  const answer = await getJson<{ requests: LoggedRequest[] }>(
    `/admin/requests${queryOf({ after })}`,
  );
  return answer.requests;
};

export const settings = async (): Promise<Setting[]> =>
  (await getJson<{ settings: Setting[] }>("/admin/settings")).settings;
