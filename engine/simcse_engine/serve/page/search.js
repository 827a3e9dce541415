// Search: the entries of the index that are most alike to a query.

const LONG_TEXT = 400;

class Search extends Panel {
  constructor() {
    super("search");
    for (const id of ["query", "k", "threshold", "where"]) {
      document.getElementById(id).addEventListener("input", () => this.soon());
    }
    find("form", this.root).addEventListener("submit", (event) => {
      event.preventDefault();
      this.now();
    });
  }

  async work(signal) {
    const query = find("#query").value;
    if (!query.trim()) {
      this.clear();
      this.timing.replaceChildren();
      return;
    }
    const answer = await askJson("search", { body: { queries: [query], ...this.choices() }, signal });
    const [hits] = answer.document;
    find("#hits").replaceChildren(...hits.map(hit));
    find("#found").textContent = hits.length === 1 ? "1 hit" : `${hits.length || "No"} hits`;
    this.took(answer);
  }

  choices() {
    const body = {};
    for (const id of ["k", "threshold"]) {
      const field = document.getElementById(id);
      if (!field.validity.valid) throw new Refusal("Not a choice", field.validationMessage);
      if (field.value) body[id] = field.valueAsNumber;
    }
    const where = find("#where").value.trim();
    if (where) {
      try {
        body.where = JSON.parse(where);
      } catch (error) {
        throw new Refusal("The filter is not JSON yet", error.message);
      }
    }
    return body;
  }

  clear() {
    find("#hits").replaceChildren();
    find("#found").textContent = "";
  }
}

function hit({ key, score, text, metadata }) {
  const mark = make("span", { className: "score" }, shown(score, 4));
  shade(mark, score);
  const words = make("div", { className: "text" }, text);
  const item = make("li", {}, words, mark);
  if (text.length > LONG_TEXT) {
    words.classList.add("long");
    const all = () => { words.classList.remove("long"); more.remove(); };
    const more = make("button", { className: "link more", type: "button", onclick: all }, "All of it");
    item.append(more);
  }
  // A larger number has lost its last digits on the way through JSON.
  const facts = typeof key === "string" || Number.isSafeInteger(key) ? [fact("key", key)] : [];
  facts.push(...Object.entries(metadata ?? {}).map(([name, value]) => fact(name, value)));
  item.append(make("dl", {}, ...facts));
  return item;
}

function fact(name, value) {
  const told = typeof value === "string" ? value : JSON.stringify(value);
  return make("div", {}, make("dt", {}, name), " ", make("dd", {}, told));
}
