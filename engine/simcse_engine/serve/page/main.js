// The page as a whole: the model's facts, the key, and when the panels begin.

const AGAIN_MS = 2000;
const hasIndex = document.documentElement.dataset.index === "yes";
const panels = [...(hasIndex ? [new Search()] : []), new Pair(), new Matrix()];

/** Show the form for the key; `wrong` is what the server said of the one that it got. */
function askForKey(wrong) {
  const tried = key.read() !== null;
  key.forget();
  find("#key-wrong").hidden = !tried;
  find("#key-wrong").textContent = tried ? wrong : "";
  find("#panels").hidden = true;
  find("#forget").hidden = true;
  find("#key").hidden = false;
  find("#key-value").focus();
}

find("#key").addEventListener("submit", (event) => {
  event.preventDefault();
  const value = find("#key-value").value.trim();
  if (!/^[\x21-\x7e]+$/.test(value)) { // what a header can carry
    find("#key-wrong").textContent = "A key has letters, digits and signs of ASCII alone.";
    find("#key-wrong").hidden = false;
    return;
  }
  key.keep(value);
  find("#key-value").value = "";
  begin();
});

find("#forget").addEventListener("click", () => {
  key.forget();
  askForKey("");
});

async function begin() {
  try {
    const { document: info } = await askJson("info");
    const entries = hasIndex ? (await askJson("count")).document.count : null;
    show(info, entries);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) {
      askForKey(error.message);
      return;
    }
    if (error.passes) setTimeout(begin, AGAIN_MS); // a server that starts, or is full
  }
  find("#key").hidden = true;
  find("#panels").hidden = false;
  find("#forget").hidden = key.read() === null;
  for (const panel of panels) panel.now();
}

function show(info, entries) {
  find("#model").textContent = info.served_model_name;
  document.title = info.served_model_name;
  const facts = [
    `${info.dimension} dimensions`,
    info.model_dtype,
    `pooler ${info.model_type.embedding.pooling}`,
    `up to ${info.max_input_length} tokens`,
    info.device,
    info.kernels && `kernels ${info.kernels}`,
    `version ${info.version}`,
  ];
  find("#facts").replaceChildren(...spans(facts.filter(Boolean)));
  if (entries !== null) find("#entries").textContent = `${entries.toLocaleString("en")} entries`;
}

const base = new URL(".", location.href).href;
find("#base").textContent = `${base}v1`;
find("#command").textContent = [
  `curl ${base}embed \\`,
  ...(document.documentElement.dataset.key === "yes" ? ['  -H "Authorization: Bearer $KEY" \\'] : []),
  `  --json '{"inputs": ["A man is playing a guitar."]}'`,
].join("\n");

if (document.documentElement.dataset.key === "yes" && key.read() === null) askForKey("");
else begin();
