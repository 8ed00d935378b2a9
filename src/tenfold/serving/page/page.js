// The page of `tenfold serve`: a picture from a file, the clipboard, the camera or the samples goes to the server
// that the page came from, and the answer is shown. Nothing else is asked of any host.

const find = (id) => document.getElementById(id);
const SHRUNK_SIDE = 1024; // what is sent of a larger photograph; far more than a model for small pictures looks at
const SHRINK_SIDE = 2048, SHRINK_BYTES = 1_000_000; // photographs beyond either are shrunk first
const HEAT = "Show what speaks for it", NO_HEAT = "Hide what speaks for it";

const state = { models: [], limits: {}, model: null, picture: null, turn: 0, stream: null, token: "" };

// --- the server ---------------------------------------------------------------------------------------------------

class Refused extends Error {}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (state.token) headers.authorization = `Bearer ${state.token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Refused("The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  if (response.status === 401) find("gate").hidden = false;
  const error = new Refused(told?.error?.message ?? `The server refused (${response.status}).`);
  error.status = response.status;
  throw error;
}

async function start() {
  try {
    const { models, limits } = await (await ask("models")).json();
    Object.assign(state, { models, limits });
    find("gate").hidden = true;
    settle();
    find("model").replaceChildren(...models.map(({ name }) => new Option(name, name)));
    find("choice").hidden = models.length < 2;
    await choose(models[0].name);
  } catch (error) {
    if (error.status === 503) setTimeout(start, 1000);
    else complain(error);
  }
}

async function choose(name) {
  state.model = state.models.find((model) => model.name === name);
  const { classes, accuracy, accuracy_interval: interval, fit, card, run } = state.model;
  const known = classes.length > 12 ? `${classes.length} classes` : classes.join(", ");
  const right = accuracy === null ? "" : ` Right for ${percent(accuracy)} of the validation pictures` +
    (interval ? ` (${percent(interval[0])} to ${percent(interval[1])}).` : ".");
  find("about").textContent = `${name} (${run}) knows ${known}.${right}`;
  find("view").classList.toggle("crop", fit === "crop");
  find("view").classList.toggle("squash", fit === "squash");
  find("card").hidden = !card;
  find("card").open = false;
  find("card-text").replaceChildren();
  await showSamples();
  if (state.picture) await predict();
}

async function showSamples() {
  const wanted = state.model.name;
  const { samples } = await (await ask(`models/${encodeURIComponent(wanted)}/samples`)).json();
  const pictures = await Promise.all(samples.map(async ({ path }) => (await ask(path)).blob()));
  if (state.model.name !== wanted) return;
  const items = pictures.map((blob, number) => {
    const image = Object.assign(new Image(), { alt: `Sample ${number + 1}`, src: URL.createObjectURL(blob) });
    const button = document.createElement("button");
    button.type = "button";
    button.append(image);
    button.addEventListener("click", () => take(blob));
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  find("sample-list").replaceChildren(...items);
  find("samples").hidden = !items.length;
}

// --- a picture ----------------------------------------------------------------------------------------------------

async function take(blob) {
  stopCamera();
  settle();
  const turn = ++state.turn;
  let picture;
  try {
    picture = await prepared(blob);
  } catch (error) {
    if (turn === state.turn) complain(error);
    return;
  }
  if (turn !== state.turn) return; // another one came meanwhile
  state.picture = picture;
  show(picture);
  await predict();
}

// A large photograph is shrunk, upright and on white, as the server would have it; the rest is sent as it is.
async function prepared(blob) {
  if (!blob.size) throw new Refused("The file is empty. Choose another picture.");
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    // This browser cannot read it; the server may, or will say what is wrong with it.
  }
  if (bitmap && (blob.size > SHRINK_BYTES || Math.max(bitmap.width, bitmap.height) > SHRINK_SIDE)) {
    const scale = Math.min(1, SHRUNK_SIDE / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    blob = await drawn(bitmap, width, height);
  }
  bitmap?.close();
  const most = state.limits.max_bytes;
  if (most && blob.size > most) {
    throw new Refused(`The picture is too large: ${megabytes(blob.size)}. This server takes up to ${megabytes(most)}.`);
  }
  return blob;
}

function drawn(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Refused("The picture cannot be shrunk."))), "image/jpeg", 0.92);
  });
}

function show(blob) {
  const image = find("picture");
  if (image.src) URL.revokeObjectURL(image.src);
  image.hidden = false;
  image.alt = "Your picture";
  image.onload = () => find("view").classList.toggle("small", image.naturalWidth <= 128);
  image.onerror = () => {
    image.hidden = true;
    find("empty").hidden = false;
    find("empty").textContent = "This browser cannot show it.";
    find("view").classList.remove("filled");
  };
  image.src = URL.createObjectURL(blob);
  find("empty").hidden = true;
  find("view").classList.add("filled");
  hideHeat();
}

// --- the answer ---------------------------------------------------------------------------------------------------

async function predict() {
  const turn = ++state.turn;
  say("Looking at it.", true);
  const body = state.picture;
  const headers = { "content-type": "application/octet-stream" };
  try {
    const path = `predict?top=5&model=${encodeURIComponent(state.model.name)}`;
    const { predictions } = await (await ask(path, { method: "POST", body, headers })).json();
    if (turn === state.turn) render(predictions[0]);
  } catch (error) {
    if (turn === state.turn) complain(error);
  }
}

function render({ label, probability, sure, doubt, top }) {
  settle();
  say(sure ? `${label}, ${percent(probability)} sure` : "Not sure");
  find("doubt").hidden = sure;
  find("doubt").textContent = sure ? "" : `Most likely ${top[0].label}, but it is ${doubt}.`;
  find("bars").replaceChildren(...top.map((one) => {
    const name = Object.assign(document.createElement("span"), { textContent: one.label });
    const share = Object.assign(document.createElement("span"), { textContent: percent(one.probability) });
    const track = Object.assign(document.createElement("div"), { className: "track" });
    const bar = Object.assign(document.createElement("div"), { className: "bar" });
    bar.style.width = `${100 * one.probability}%`;
    track.setAttribute("aria-hidden", "true");
    track.append(bar);
    const item = document.createElement("li");
    item.append(name, share, track);
    return item;
  }));
  hideHeat();
  find("explain").hidden = false;
}

async function explain() {
  const button = find("explain");
  if (button.getAttribute("aria-pressed") === "true") {
    hideHeat();
    return;
  }
  const turn = state.turn;
  button.disabled = true;
  try {
    const headers = { "content-type": "application/octet-stream" };
    const path = `explain?model=${encodeURIComponent(state.model.name)}`;
    const { image, label } = await (await ask(path, { method: "POST", body: state.picture, headers })).json();
    if (turn !== state.turn) return;
    Object.assign(find("heat"), { src: image, hidden: false, alt: `Parts that speak for ${label}, in yellow` });
    button.setAttribute("aria-pressed", "true");
    button.textContent = NO_HEAT;
    find("legend").hidden = false;
  } catch (error) {
    if (turn === state.turn) complain(error);
  } finally {
    button.disabled = false;
  }
}

function hideHeat() {
  find("heat").hidden = true;
  find("legend").hidden = true;
  find("explain").setAttribute("aria-pressed", "false");
  find("explain").textContent = HEAT;
}

function say(text, quiet = false) {
  find("said").textContent = text;
  find("said").classList.toggle("quiet", quiet);
}

function complain(error) {
  find("problem").textContent = error instanceof Refused ? error.message : `Something went wrong: ${error.message}`;
  find("problem").hidden = false;
  find("bars").replaceChildren();
  find("doubt").hidden = find("explain").hidden = true;
  hideHeat();
  say("No answer.", true);
}

function settle() {
  find("problem").hidden = true;
}

const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

// --- the camera ---------------------------------------------------------------------------------------------------

async function openCamera() {
  settle();
  const video = find("video");
  try {
    if (!navigator.mediaDevices) throw new Refused("Browsers lend the camera to https pages and to this machine alone.");
    state.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = state.stream;
    video.hidden = false;
    find("ways").hidden = true;
    await video.play();
  } catch (error) {
    stopCamera();
    complain(error instanceof Refused ? error : new Refused("The camera cannot be used, or may not be."));
    return;
  }
  find("shooting").hidden = false;
  find("shoot").focus();
}

async function shoot() {
  const video = find("video");
  try {
    take(await drawn(video, video.videoWidth, video.videoHeight)); // puts the camera away at once
  } catch (error) {
    stopCamera();
    complain(error);
  }
  find("camera").focus();
}

function stopCamera() {
  state.stream?.getTracks().forEach((track) => track.stop());
  state.stream = find("video").srcObject = null;
  find("video").hidden = find("shooting").hidden = true;
  find("ways").hidden = false;
}

// --- the model card -----------------------------------------------------------------------------------------------

async function showCard() {
  const place = find("card-text");
  if (!find("card").open || place.childElementCount) return;
  try {
    const text = await (await ask(`models/${encodeURIComponent(state.model.name)}/card`)).text();
    place.replaceChildren(...written(text));
  } catch (error) {
    complain(error);
  }
}

// Headings, lists, paragraphs, tables and code: all that a model card is made of.
function written(markdown) {
  const found = [];
  let open = null; // the element that the next line may belong to, and of what kind it is
  let fenced = false;
  const plain = (text) => text.replaceAll(/\*\*|`/g, "").replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
  const add = (kind, tag, text) => {
    const element = Object.assign(document.createElement(tag), { textContent: text });
    if (tag === "li" && open?.kind === "list") open.element.append(element);
    else if (tag === "li") {
      const list = document.createElement("ul");
      list.append(element);
      found.push(list);
      open = { kind, element: list };
    } else {
      found.push(element);
      open = { kind, element };
    }
  };
  for (const line of markdown.replace(/^---\n[^]*?\n---\n/, "").split("\n")) {
    const [, marks, title] = line.match(/^(#+) (.*)/) ?? [];
    if (line.startsWith("```")) {
      fenced = !fenced;
      if (fenced) add("code", "pre", "");
      else open = null;
    } else if (fenced) open.element.append(`${line}\n`);
    else if (!line.trim()) open = null;
    else if (marks) add("title", marks.length < 3 ? "h3" : "h4", plain(title));
    else if (/^[-*] /.test(line)) add("list", "li", plain(line.slice(2)));
    else if (line.startsWith("|")) {
      const cells = line.split("|").slice(1, -1).map((text) => plain(text.trim()));
      if (cells.every((text) => /^:?-+:?$/.test(text))) continue;
      const head = open?.kind !== "table";
      if (head) add("table", "table", "");
      const row = open.element.insertRow();
      row.append(...cells.map((text) => Object.assign(document.createElement(head ? "th" : "td"), { textContent: text })));
    } else if (open?.kind === "list") open.element.lastChild.append(` ${plain(line.trim())}`);
    else if (open?.kind === "text") open.element.append(` ${plain(line.trim())}`);
    else add("text", "p", plain(line));
  }
  return found;
}

// --- what people do -----------------------------------------------------------------------------------------------

const first = (files) => [...files].find((file) => file.type.startsWith("image/")) ?? files[0];

find("file").addEventListener("change", ({ target }) => {
  if (target.files.length) take(first(target.files));
  target.value = ""; // the same file may be chosen again
});
document.addEventListener("paste", ({ clipboardData }) => {
  if (clipboardData?.files.length) take(first(clipboardData.files));
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    find("view").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) take(first(event.dataTransfer.files));
  });
}
find("camera").addEventListener("click", openCamera);
find("shoot").addEventListener("click", shoot);
find("cancel").addEventListener("click", () => { stopCamera(); find("camera").focus(); });
find("explain").addEventListener("click", explain);
find("card").addEventListener("toggle", showCard);
find("model").addEventListener("change", ({ target }) => choose(target.value).catch(complain));
find("gate").addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = find("token").value;
  start();
});
start();
