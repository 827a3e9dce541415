// The server that this page came from: its requests, its refusals, its key.

/** What there is instead of an answer; `passes` where the same question may be answered later. */
class Refusal extends Error {
  constructor(title, message, { status = 0, passes = false } = {}) {
    super(message);
    this.title = title;
    this.status = status;
    this.passes = passes;
  }
}

const TITLES = {
  400: "Not understood", 401: "A key is needed", 404: "Not here", 408: "Too slow", 409: "Busy elsewhere",
  413: "Too much at once", 422: "Not accepted", 429: "The server is full", 503: "Not ready", 507: "The disk is full",
};

/** The API key, in this tab alone; in this page alone where the browser keeps nothing. */
const key = {
  held: null,
  read() {
    try { return sessionStorage.getItem("api-key") ?? key.held; } catch { return key.held; }
  },
  keep(value) {
    key.held = value;
    try { sessionStorage.setItem("api-key", value); } catch { /* held, then */ }
  },
  forget() {
    key.held = null;
    try { sessionStorage.removeItem("api-key"); } catch { /* there was none */ }
  },
};

/**
 * Ask the server: {bytes, headers, milliseconds}, or a Refusal in its own words.
 *
 * Paths are relative: the page works under a prefix that a proxy adds.
 */
async function ask(path, { body, accept = "application/json", signal } = {}) {
  const headers = { accept };
  if (key.read() !== null) headers.authorization = `Bearer ${key.read()}`;
  const options = { headers, signal, cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["content-type"] = "application/json";
  }
  const began = performance.now();
  let response, bytes;
  try {
    response = await fetch(path, options);
    bytes = await response.arrayBuffer();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("No answer", "The server cannot be reached.", { passes: true });
  }
  signal?.throwIfAborted();
  if (!response.ok) throw refusal(response, bytes);
  return { bytes, headers: response.headers, milliseconds: performance.now() - began };
}

function refusal(response, bytes) {
  const text = new TextDecoder().decode(bytes);
  let message = `${response.status} ${response.statusText}`;
  try {
    const { error } = JSON.parse(text);
    message = typeof error === "string" ? error : error.message;
  } catch { /* a proxy's page, not the server's words */ }
  const after = response.headers.get("retry-after");
  if (after !== null) message += ` (in ${after} s)`;
  const { status } = response;
  const title = TITLES[status] ?? (status < 500 ? "Refused" : "The server failed");
  return new Refusal(title, message, { status, passes: status >= 500 || [408, 409, 429].includes(status) });
}

async function askJson(path, options) {
  const answer = await ask(path, options);
  return { ...answer, document: JSON.parse(new TextDecoder().decode(answer.bytes)) };
}

/** Unit vectors of texts, with the answer's headers and milliseconds. */
async function embed(texts, signal) {
  const answer = await ask("embed", { body: { inputs: texts }, accept: "application/x-npy", signal });
  return { ...answer, units: rows(answer.bytes).map(unit) };
}

/** The rows of a two-dimensional .npy file of float32. */
function rows(bytes) {
  const view = new DataView(bytes);
  const wide = view.getUint8(6) > 1; // the format's version says how many bytes state the header's length
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(new Uint8Array(bytes, start, length));
  const shape = /'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\)/.exec(header);
  if (shape === null) throw new Refusal("Not understood", `The server's array is not float32: ${header}`);
  const [count, dimension] = [Number(shape[1]), Number(shape[2])];
  const numbers = new Float32Array(bytes.slice(start + length));
  return Array.from({ length: count }, (_, i) => numbers.subarray(i * dimension, (i + 1) * dimension));
}

function unit(vector) {
  const norm = Math.hypot(...vector) || 1;
  return Float64Array.from(vector, (number) => number / norm);
}

function cosine(one, other) {
  return one.reduce((sum, number, i) => sum + number * other[i], 0);
}
