// Pair: two sentences and their cosine.

class Pair extends Panel {
  constructor() {
    super("pair");
    this.fields = [find("#first"), find("#second")];
    for (const field of this.fields) field.addEventListener("input", () => this.soon());
  }

  async work(signal) {
    const texts = this.fields.map((field) => field.value);
    if (!texts.every((text) => text.trim())) {
      this.clear();
      this.timing.replaceChildren();
      return;
    }
    const answer = await embed(texts, signal);
    const value = cosine(...answer.units);
    find("#cosine").textContent = shown(value, 4);
    find("#marker").hidden = false;
    find("#marker").style.left = `${((value + 1) / 2) * 100}%`;
    this.took(answer);
  }

  clear() {
    find("#cosine").textContent = "–";
    find("#marker").hidden = true;
  }
}
