// The public API, as the gallery speaks it: one error class, one key.

export const V1 = "/pictoryapis/v1";
const PATIENCE_MS = 60_000;

/** Under this name `localStorage` keeps the key in this browser. */
export const KEY = "rushes.key";

/** What a server says instead of doing it. `fields` maps each bad field to its complaint. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body?.message ?? (status ? `The server answered ${status}.` : "The server cannot be reached."));
    this.status = status;
    this.code = body?.code ?? body?.data?.error_code;
    this.fields = Object.fromEntries((body?.fields ?? []).map(({ name, errors }) => [name, errors]));
  }
}

/**
 * One call, without the `params` that say nothing. Resolves to the JSON of the answer; throws ApiError. Of a missing,
 * wrong or revoked key the document hears as "rushes:unauthorized".
 */
export async function api(path, { method = "GET", params = {}, body, idempotencyKey } = {}) {
  const said = Object.entries(params).filter(([, value]) => value);
  const query = said.length ? `?${new URLSearchParams(said)}` : "";
  const headers = { Authorization: localStorage[KEY] ?? "" };
  if (body) headers["Content-Type"] = "application/json";
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  // A deletion is also sent when it was the last thing a page did.
  const keepalive = method === "DELETE";
  return call(V1 + path + query, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE_MS), keepalive, cache: "no-cache" });
}

async function call(url, options) {
  const unreachable = () => { throw new ApiError(0); };
  const answer = await fetch(url, options).catch(unreachable);
  if (answer.ok) return answer.json().catch(unreachable);
  const error = new ApiError(answer.status, await answer.json().catch(() => null));
  if (answer.status === 401) document.dispatchEvent(new Event("rushes:unauthorized"));
  throw error;
}

/** Upload a File; resolves to the link that serves it as an input. */
export async function upload(file) {
  const { data } = await api("/media/generateurl", { method: "POST", body: { fileName: file.name, contentType: file.type } });
  await call(data.signedUrl, { method: "PUT", headers: { "Content-Type": file.type }, body: file });
  return data.url;
}
