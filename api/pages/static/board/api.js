// Calls of the API by whoever is signed in here. What it refuses is thrown as `Refused`, with its own words.

const UNREACHED = { code: "unreachable", detail: "The server could not be reached. Nothing was changed; try again." };

export const board = () => document.getElementById("board").dataset;

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail);
    this.status = status;
    this.code = problem.code;
    this.problem = problem;
  }

  // By field, what is wrong with it.
  get fields() {
    return new Map((this.problem.errors || []).map((each) => [each.field, each.message]));
  }
}

const token = () => document.querySelector("input[name=csrf_token]").value;

// match: the ETag that must still stand. key: under which a repetition is answered as the first time.
export async function call(method, path, { body, match, key, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = token();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (match) headers["If-Match"] = match;
  if (key) headers["Idempotency-Key"] = key;
  const answer = await reached(path, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" });
  const data = await answer.json();
  if (answer.status === 401) window.location.assign(board().login);
  if (!answer.ok) throw new Refused(answer.status, data);
  return { data, etag: answer.headers.get("ETag") };
}

async function reached(path, options) {
  try {
    return await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof TypeError) throw new Refused(0, UNREACHED); // so fetch says that it got no answer
    throw error;
  }
}

export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const appointment = (id, action = "") => `/v1/appointments/${encodeURIComponent(id)}${action}`;

export const isStale = (error) => error instanceof Refused && error.status === 412;
export const isAborted = (error) => error.name === "AbortError";
