// The service's public routes, as this page asks them. Addresses are relative, so a prefix of a proxy holds.

const KEY = "harmonic-key";

/** An answer that is an error: `code` for programs, `message` for people. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Keep an API key for this tab; null forgets it. */
export function keepKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export const models = async () => (await (await ask("v1/models")).json()).models;
export const model = async (name) => (await ask(`v1/models/${encodeURIComponent(name)}`)).json();
export const activity = async () => (await ask("v1/activity")).json();
export const card = async (name, version) => (await ask(`${base(name, version)}/card`)).text();
export const report = async (name, version) => (await ask(`${base(name, version)}/report`)).json();
export const spectrum = async (name, version) => (await ask(`${base(name, version)}/spectrum`)).json();

/** Classify one picture: the answer, and how many images its model call had. version: null for the newest. */
export async function classify(name, version, picture, signal) {
  const path = version === null ? `v1/models/${encodeURIComponent(name)}` : base(name, version);
  const options = { method: "POST", body: picture, signal, headers: { "Content-Type": "application/octet-stream" } };
  const response = await ask(`${path}/classify`, options);
  const batch = /batch;desc="(\d+)"/.exec(response.headers.get("Server-Timing") ?? "");
  return { ...(await response.json()), batch: batch ? Number(batch[1]) : null };
}

function base(name, version) {
  return `v1/models/${encodeURIComponent(name)}/versions/${version}`;
}

async function ask(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The service cannot be reached.");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const { code = "unknown", message = `The service answered ${response.status}.` } = body.error ?? {};
  if (response.status === 401) document.dispatchEvent(new CustomEvent("key-wanted"));
  throw new ApiError(response.status, code, message);
}
