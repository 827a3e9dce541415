// Panel: a section that asks the server as its fields change, and shows the latest answer alone.

// A pause in typing after which the server is asked.
const PAUSE_MS = 60;

const find = (selector, root = document) => root.querySelector(selector);

/** An element with its content; strings become text, never markup. */
function make(tag, properties = {}, ...content) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...content);
  return element;
}

/** Parts that lines break between alone. */
const spans = (parts) => parts.flatMap((part) => [make("span", {}, part), " "]);

/** A number as people write it, with a true minus. */
const shown = (number, digits) => {
  const text = number.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
};

/** The colour of a cosine: its hue says the sign, and the number stands in it. */
function shade(element, value) {
  element.style.setProperty("--shade", value < 0 ? "var(--opposite)" : "var(--alike)");
  element.style.setProperty("--share", `${Math.min(100, Math.abs(value) * 100).toFixed(1)}%`);
}

/** Its own kinds have `work`, which asks and shows, and `clear`, which shows nothing. */
class Panel {
  constructor(id) {
    this.root = document.getElementById(id);
    this.notice = find(".notice", this.root);
    this.timing = find(".timing", this.root);
    this.asking = null;
    this.timer = 0;
  }

  /** Ask after a pause in typing. */
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), PAUSE_MS);
  }

  /** Ask at once; an older question is given up. */
  async now() {
    clearTimeout(this.timer);
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.root.setAttribute("aria-busy", "true");
    try {
      await this.work(asking.signal);
      this.notice.hidden = true;
    } catch (error) {
      if (asking.signal.aborted) return;
      if (!(error instanceof Refusal)) throw error;
      this.refuse(error);
    } finally {
      if (this.asking === asking) {
        this.asking = null;
        this.root.removeAttribute("aria-busy");
      }
    }
  }

  refuse(error) {
    this.clear();
    this.timing.replaceChildren();
    if (error.status === 401) {
      this.notice.hidden = true;
      askForKey(error.message);
      return;
    }
    this.notice.replaceChildren(make("strong", {}, `${error.title}. `), error.message);
    if (error.passes) {
      const again = make("button", { className: "link", type: "button", onclick: () => this.now() }, "Try again");
      this.notice.append(" ", again);
    }
    this.notice.hidden = false;
  }

  /** Where the time went: as this page saw it, and as the server states it. */
  took({ headers, milliseconds }) {
    const stated = (name) => headers.get(name) !== null && Number(headers.get(name));
    const parts = [`${milliseconds.toFixed(1)} ms there and back`];
    for (const [name, header] of [
      ["server", "x-total-time"], ["queue", "x-queue-time"], ["tokenizing", "x-tokenization-time"],
      ["inference", "x-inference-time"], ["search", "x-search-time"],
    ]) {
      if (stated(header) !== false) parts.push(`${name} ${stated(header).toFixed(1)} ms`);
    }
    if (stated("x-compute-tokens")) parts.push(`${stated("x-compute-tokens")} tokens`);
    if (stated("x-truncated")) parts.push(`${stated("x-truncated")} cut to the model's length`);
    this.timing.replaceChildren(...spans(parts));
  }
}
