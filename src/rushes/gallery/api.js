// The public API, as the gallery speaks it: one error class, pages by token, the key kept in this browser.

const V1 = "/pictoryapis/v1";
const KEY = "rushes.key";

/** What a server says when it does not do what it was asked to. `fields` maps each bad field to its complaint. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body?.message ?? (status ? `The server answered ${status}.` : "The server cannot be reached."));
    this.status = status;
    this.code = body?.code ?? body?.data?.error_code ?? "";
    this.fields = Object.fromEntries((body?.fields ?? []).map((field) => [field.name, field.errors]));
  }
}

export const key = {
  get: () => localStorage.getItem(KEY),
  set: (value) => localStorage.setItem(KEY, value),
  forget: () => localStorage.removeItem(KEY),
};

/** Called with an ApiError whenever a key is missing, wrong or revoked. */
export const onUnauthorized = new Set();

/**
 * One call. `params` and `body` may hold what says nothing: it is left out.
 * Resolves to the JSON of the answer; throws ApiError.
 */
export async function api(path, { method = "GET", params = {}, body, idempotencyKey, signal } = {}) {
  const said = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = said.length ? `?${new URLSearchParams(said)}` : "";
  const headers = { Authorization: key.get() ?? "" };
  if (body) headers["Content-Type"] = "application/json";
  if (method === "POST") headers["Idempotency-Key"] = idempotencyKey ?? crypto.randomUUID();
  let answer;
  try {
    answer = await fetch(V1 + path + query, { method, headers, body: body && JSON.stringify(body), signal, cache: "no-cache" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0);
  }
  const told = await answer.json().catch(() => null);
  if (answer.ok) return told;
  const error = new ApiError(answer.status, told);
  if (answer.status === 401) for (const tell of onUnauthorized) tell(error);
  throw error;
}

/** Upload a File; resolves to the link that serves it as an input. */
export async function upload(file, signal) {
  const { data } = await api("/media/generateurl", {
    method: "POST", body: { fileName: file.name || "pasted", contentType: file.type }, signal,
  });
  const answer = await fetch(data.signedUrl, { method: "PUT", headers: { "Content-Type": file.type }, body: file, signal })
    .catch((error) => { if (error.name === "AbortError") throw error; throw new ApiError(0); });
  if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => null));
  return data.url;
}
