// What a picture goes through, from a file to bars. The model, the runtime that computes it and the facts about
// both are packed into this page; nothing is ever fetched.

const $ = (id) => document.getElementById(id);
const facts = JSON.parse($("facts").textContent);
const { size, fit, names } = facts;

// From a picture to the model's pixels: what images.py does with Pillow, step by step.

const BITS = 22; // weights are whole numbers, in units of 2^-22
const HALF = 2 ** (BITS - 1);
const BAND = 64; // lines that are in memory at a time, so that a phone can read its own photographs

// Keys' cubic with a = -1/2.
const cubic = (x) => {
  x = Math.abs(x);
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
};

// For each of `count` places between `from` and `to` of a line: where its sources start, and their weights.
const taps = (length, from, to, count) => {
  const scale = (to - from) / count;
  const wide = Math.max(scale, 1);
  return Array.from({ length: count }, (_, place) => {
    const centre = from + (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - 2 * wide + 0.5));
    const stop = Math.min(length, Math.trunc(centre + 2 * wide + 0.5));
    const shares = Array.from({ length: stop - start }, (_, i) => cubic((i + start - centre + 0.5) * (1 / wide)));
    const sum = shares.reduce((total, share) => total + share, 0);
    const whole = (share) => Math.trunc((share / sum) * 2 ** BITS + (share < 0 ? -0.5 : 0.5));
    return { start, stop, weights: Int32Array.from(shares, whole) };
  });
};

// Lines of RGBA become lines of RGB as long as `columns`.
const narrowed = (lines, width, columns, target) => {
  for (let line = 0, to = 0; to < target.length; line++) {
    for (const { start, weights } of columns) {
      let at = 4 * (line * width + start);
      let red = HALF, green = HALF, blue = HALF;
      for (const weight of weights) {
        red += weight * lines[at];
        green += weight * lines[at + 1];
        blue += weight * lines[at + 2];
        at += 4;
      }
      target[to++] = red >> BITS;
      target[to++] = green >> BITS;
      target[to++] = blue >> BITS;
    }
  }
};

// The mean of every block of `by` x `by` pixels: close to what a JPEG decoder gives that is asked for less.
const shrunk = (data, width, height, by) => {
  const across = Math.ceil(width / by);
  const small = new Uint8ClampedArray(4 * across * Math.ceil(height / by));
  for (let to = 0; to < small.length; to += 4) {
    const left = by * ((to / 4) % across), top = by * Math.floor(to / 4 / across);
    const right = Math.min(width, left + by), bottom = Math.min(height, top + by);
    let red = 0, green = 0, blue = 0;
    for (let y = top; y < bottom; y++) {
      for (let at = 4 * (y * width + left), end = 4 * (y * width + right); at < end; at += 4) {
        red += data[at];
        green += data[at + 1];
        blue += data[at + 2];
      }
    }
    const count = (right - left) * (bottom - top);
    small[to] = red / count;
    small[to + 1] = green / count;
    small[to + 2] = blue / count;
  }
  return small;
};

const halfToEven = (value) => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

// Which part of a picture is taken, and how large it becomes, by the run's `fit`.
const placed = (width, height) => {
  const shorter = Math.min(width, height), longer = Math.max(width, height);
  if (fit === "crop") {
    const left = (width - shorter) / 2, top = (height - shorter) / 2;
    return { left, top, right: left + shorter, bottom: top + shorter, wide: size, high: size };
  }
  const shown = (side) => (fit === "pad" ? Math.max(1, halfToEven(side * (size / longer))) : size);
  return { left: 0, top: 0, right: width, bottom: height, wide: shown(width), high: shown(height) };
};

// uint8 (size, size, 3) of a picture. `by`: a JPEG is first shrunk by 8, 4 or 2, as long as twice the size is left.
const look = ({ bitmap, jpeg }) => {
  const most = Math.floor(Math.min(bitmap.width, bitmap.height) / (2 * size));
  const by = jpeg ? ([8, 4, 2].find((step) => step <= most) ?? 1) : 1;
  const width = Math.ceil(bitmap.width / by), height = Math.ceil(bitmap.height / by);
  const { left, top, right, bottom, wide, high } = placed(width, height);
  const over = Math.floor((size - high) / 2), beside = Math.floor((size - wide) / 2);
  // Pillow goes along the lines first, but down first where the height shrinks by far more. A picture of the
  // second kind is turned about its diagonal, here and again at the end.
  const turned = height > high && height - high > 2 * (width - wide);
  const both = [taps(width, left, right, wide), taps(height, top, bottom, high)];
  const [columns, rows] = turned ? both.reverse() : both;
  const [length, lines] = turned ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];
  const first = rows[0].start, last = rows.at(-1).stop, long = 3 * columns.length;

  const canvas = new OffscreenCanvas(length, Math.min(lines, BAND * by));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white"; // behind transparent parts
  pen.imageSmoothingEnabled = false;
  const band = (line, count) => {
    const from = line * by, some = Math.min(count * by, lines - from);
    pen.resetTransform();
    pen.fillRect(0, 0, length, some);
    pen.setTransform(...(turned ? [0, 1, 1, 0] : [1, 0, 0, 1]), 0, -from);
    pen.drawImage(bitmap, 0, 0);
    const { data } = pen.getImageData(0, 0, length, some);
    return by === 1 ? data : shrunk(data, length, some, by);
  };

  const narrow = new Uint8ClampedArray(long * (last - first));
  for (let line = first; line < last; line += BAND) {
    const count = Math.min(BAND, last - line), at = long * (line - first);
    narrowed(band(line, count), Math.ceil(length / by), columns, narrow.subarray(at, at + long * count));
  }
  const pixels = new Uint8ClampedArray(3 * size * size); // black where the picture does not reach
  rows.forEach(({ start, weights }, row) => {
    for (let at = 0; at < long; at++) {
      let sum = HALF;
      weights.forEach((weight, i) => (sum += weight * narrow[long * (start + i - first) + at]));
      const column = Math.floor(at / 3);
      const [x, y] = turned ? [row, column] : [column, row];
      pixels[3 * (size * (y + over) + x + beside) + (at % 3)] = sum >> BITS;
    }
  });
  return new Uint8Array(pixels.buffer);
};

class Unusable extends Error {}

const decode = async (file) => {
  let bitmap;
  try {
    // Upright, and with the numbers that the file holds for its colours: training knows no colour profiles either.
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Unusable("cannot be read as a picture. Expected JPEG, PNG, GIF, BMP, WebP or AVIF; save it as one of these.");
  }
  const { width, height } = bitmap;
  if (width * height > facts.most_pixels) {
    throw new Unusable(`is too large: ${width} x ${height} pixels. Expected at most ${facts.most_pixels}; make it smaller.`);
  }
  const [one, two] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return { bitmap, jpeg: one === 0xff && two === 0xd8 };
};

// From pixels to answers: ONNX Runtime Web, in WebAssembly.

const inflated = async (id) => {
  const element = $(id);
  const text = atob(element.textContent);
  element.remove(); // megabytes that are of no use any more
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < packed.length; i++) packed[i] = text.charCodeAt(i);
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
};

const ready = (async () => {
  const [runtime, glue, wasm, model] = await Promise.all(["runtime", "glue", "wasm", "model"].map(inflated));
  const address = (code) => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const ort = await import(address(runtime));
  ort.env.wasm.numThreads = 1; // more would need a server that isolates the page
  ort.env.wasm.wasmPaths = { mjs: address(glue) };
  ort.env.wasm.wasmBinary = wasm;
  const session = await ort.InferenceSession.create(new Uint8Array(model), { logSeverityLevel: 3 });
  const run = (pixels, count) =>
    session.run({ image: new ort.Tensor("uint8", pixels, [count, size, size, 3]) });
  await run(new Uint8Array(3 * size * size), 1); // the first one takes longest
  return run;
})();

// The model's outputs for uint8 (count, size, size, 3), each as one array of numbers.
const answer = async (pixels, count = 1) => {
  const outputs = await (await ready)(pixels, count);
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data, Number)]));
};

// Other scripts, and the check of this very page, may ask it too.
globalThis.tenfold = { ready, answer, pixels: async (blob) => look(await decode(blob)) };

// From answers to what is seen and heard.

const MOST_CARDS = 50;

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const say = (text) => ($("status").textContent = text);

const picture = (label, width, height, draw) => {
  const canvas = make("canvas", { width, height, role: "img", ariaLabel: label });
  draw(canvas.getContext("2d"));
  return canvas;
};

const thumbnail = (name, bitmap) => {
  const scale = Math.min(1, 320 / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  return picture(name, width, height, (pen) => pen.drawImage(bitmap, 0, 0, width, height));
};

const seen = (pixels) =>
  picture(`The same as the model sees it: ${size} by ${size} pixels`, size, size, (pen) => {
    const image = pen.createImageData(size, size);
    for (let i = 0; i < size * size; i++) image.data.set([pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2], 255], 4 * i);
    pen.putImageData(image, 0, 0);
  });

const bar = ([name, share]) => {
  const line = make("span", { className: "bar" });
  line.style.setProperty("--share", share);
  return make(
    "li",
    {},
    make("span", { className: "label", textContent: name }),
    make("span", { className: "share", textContent: percent(share) }),
    line,
  );
};

const show = (card) => {
  const list = $("answers");
  list.prepend(card);
  while (list.children.length > MOST_CARDS) list.lastElementChild.remove();
  list.parentElement.hidden = false;
};

const answered = async (name, source) => {
  const started = performance.now();
  const found = await source();
  const pixels = look(found);
  const { probabilities, familiarity, sure } = await answer(pixels);
  const took = performance.now() - started;
  const top = probabilities
    .map((share, place) => [names[place], share])
    .sort((one, other) => other[1] - one[1])
    .slice(0, 5);
  const strange = facts.familiar_from !== null && familiarity[0] < facts.familiar_from;
  const doubt = strange ? "unlike the pictures the model knows" : `less than ${percent(facts.sure_from)} sure`;
  const unsure = sure !== undefined && !sure[0];
  const told = make(
    "div",
    { className: "told" },
    make("h3", { className: unsure ? "unsure" : "", textContent: unsure ? facts.not_sure : top[0][0] }),
    ...(unsure ? [make("p", { className: "doubt", textContent: doubt })] : []),
    make("ol", { className: "bars", ariaLabel: "Most probable classes" }, ...top.map(bar)),
    make("p", { className: "hint", textContent: `${name} · ${took.toFixed(0)} ms` }),
  );
  const pictures = make("div", { className: "pictures" }, thumbnail(name, found.bitmap), seen(pixels));
  show(make("li", { className: "panel card" }, pictures, told));
  found.bitmap.close();
  say(`${name}: ${unsure ? `${facts.not_sure}, ${doubt}` : `${top[0][0]}, ${percent(top[0][1])}`}`);
};

let queue = Promise.resolve(); // pictures are answered one after the other
const take = (name, source) => {
  queue = queue.then(() => answered(name, source)).catch((error) => {
    const reason = error instanceof Unusable ? error.message : `got no answer: ${error.message}`;
    show(make("li", { className: "panel card bad" }, make("p", { textContent: `${name} ${reason}` })));
    say(`${name} ${reason}`);
  });
};
const takeAll = (files, how) => {
  if (!files.length) say(`What was ${how} is no picture file. Save the picture first, then choose it.`);
  for (const file of files) take(file.name, () => decode(file));
};

$("files").addEventListener("change", ({ target }) => {
  takeAll([...target.files], "chosen");
  target.value = ""; // so that the same file can be chosen again
});
addEventListener("paste", ({ clipboardData }) => takeAll([...clipboardData.files], "pasted"));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  takeAll([...event.dataTransfer.files], "dropped");
});

// The camera: asked for on a click, let go as soon as it is closed.

const closeCamera = () => {
  $("view").srcObject.getTracks().forEach((track) => track.stop());
  $("view").srcObject = null;
  $("camera").hidden = true;
  $("open").disabled = false;
  $("open").focus();
};
$("open").hidden = !navigator.mediaDevices?.getUserMedia;
$("open").addEventListener("click", async () => {
  $("open").disabled = true;
  try {
    $("view").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    $("camera").hidden = false;
    await $("view").play();
    $("snap").focus();
  } catch (error) {
    if ($("view").srcObject) closeCamera();
    $("open").disabled = false;
    say(`The camera cannot be used (${error.name}). Allow it for this page, or choose a picture.`);
  }
});
$("snap").addEventListener("click", async () => {
  const bitmap = await createImageBitmap($("view"));
  take("Camera picture", async () => ({ bitmap, jpeg: false }));
});
$("close").addEventListener("click", closeCamera);
$("camera").addEventListener("keydown", ({ key }) => key === "Escape" && closeCamera());

ready.then(
  () => say("Ready."),
  (error) => {
    for (const id of ["files", "open"]) $(id).disabled = true;
    document.body.classList.add("broken");
    say(`The model cannot run in this browser: ${error.message}. Expected a current Chrome, Edge, Firefox or Safari.`);
  },
);
