"use strict";
const $ = (id) => document.getElementById(id);
const page = document.documentElement;
const make = (tag, properties = {}, ...children) => {
  const { dataset, style, aria, ...others } = properties;
  const element = Object.assign(document.createElement(tag), others);
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(aria ?? {})) element.setAttribute(`aria-${name}`, value);
  for (const [name, value] of Object.entries(style ?? {})) element.style.setProperty(name, value);
  element.append(...children);
  return element;
};

let facts = null;
let filters = new Map();
let stack = [];
let number = 0;
const eye = { zoom: "1", left: 0, top: 0, before: false, size: null };

// The visible region ---------------------------------------------------------------------
// One request at a time: while it is in flight, only the newest change waits.
let busy = false;
let again = false;
let shownUrl = "";

const asked = () => ({
  stack: stack.filter((stage) => stage.on).map(({ filter, values }) => ({ filter, values })),
  linear: $("linear").checked && !facts.linear,
  gray: $("gray").checked && !facts.gray,
});

const region = () => {
  const box = $("viewer").getBoundingClientRect();
  const scale = eye.zoom === "fit" ? devicePixelRatio : devicePixelRatio / eye.zoom;
  return {
    fits: eye.zoom === "fit",
    left: eye.left,
    top: eye.top,
    width: Math.max(1, Math.floor((box.width - 2) * scale)),
    height: Math.max(1, Math.floor((box.height - 2) * scale)),
    before: eye.before,
  };
};

async function show() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  page.dataset.state = "busy";
  do {
    again = false;
    try {
      // The whole picture comes first with one pixel of each area, then with the area's mean, unless the stack changes.
      const rough = await ask(true);
      if (rough && !again) await ask(false);
      problem("");
    } catch (error) {
      problem(error.message);
    }
  } while (again);
  busy = false;
  page.dataset.state = "idle";
}

async function ask(quick) {
  const start = performance.now();
  const answer = await post("view", { ...asked(), view: { ...region(), quick } });
  const shown = JSON.parse(answer.headers.get("X-Facts"));
  await put(await answer.blob(), shown);
  tell(shown, performance.now() - start);
  return shown.quick;
}

async function post(name, content) {
  let answer;
  try {
    answer = await fetch(name, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
  } catch {
    throw new Error("convfilter has ended; start it again with the command that you began with");
  }
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

async function put(blob, found) {
  const url = URL.createObjectURL(blob);
  const next = new Image();
  next.src = url;
  await next.decode();
  const scale = ((eye.zoom === "fit" ? 1 : eye.zoom) * found.step) / found.factor / devicePixelRatio;
  // The decoded picture takes the place of the one that is shown, which would be decoded once more.
  Object.assign(next, { id: "picture", draggable: false });
  next.style.width = `${next.naturalWidth * scale}px`;
  next.style.height = `${next.naturalHeight * scale}px`;
  $("picture").replaceWith(next);
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  shownUrl = url;
  if (eye.zoom !== "fit" && !again) [eye.left, eye.top] = [found.left, found.top];
  eye.size = found.size;
}

function tell(found, milliseconds) {
  const [width, height] = found.size;
  const part = found.step > 1 ? `, ${found.step}x${found.step} pixels in one` : eye.zoom === "fit" ? "" : `, from ${found.left},${found.top}`;
  $("status").textContent = `${eye.before ? "before; after: " : ""}${width}x${height} ${found.kind}${part}; ${Math.round(milliseconds)} ms`;
  $("command").textContent = found.command;
  $("picture").alt = eye.before ? "The picture before the filters" : `What this makes of the picture: ${found.command}`;
  $("rule").textContent = found.rule;
  Object.assign(page.dataset, { left: found.left, top: found.top, factor: found.factor, server: found.milliseconds });
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

function look(zoom) {
  const box = region();
  const old = eye.zoom;
  eye.zoom = zoom;
  if (old === "fit" && eye.size) [eye.left, eye.top] = eye.size.map((side) => Math.floor(side / 2)).map((middle, axis) => Math.max(0, middle - Math.floor((axis ? region().height : region().width) / 2)));
  else if (zoom !== "fit") {
    const now = region();
    eye.left += Math.round((box.width - now.width) / 2);
    eye.top += Math.round((box.height - now.height) / 2);
  }
  $("viewer").classList.toggle("fit", zoom === "fit");
  show();
}

function move(across, down) {
  if (eye.zoom === "fit") return;
  eye.left += across;
  eye.top += down;
  show();
}

$("zoom").addEventListener("change", ({ target }) => look(target.value));
const unfiltered = (before) => {
  eye.before = before;
  $("before").setAttribute("aria-pressed", before);
  show();
};
$("before").addEventListener("click", () => unfiltered(!eye.before));

$("viewer").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const zooms = [...document.querySelectorAll("#zoom input")];
  const turn = { "+": 1, "=": 1, "-": -1 }[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (step) {
    const by = event.shiftKey ? 1 : 64 / (eye.zoom === "fit" ? 1 : eye.zoom);
    move(step[0] * by, step[1] * by);
  } else if (turn) {
    const to = zooms[zooms.findIndex((input) => input.checked) + turn];
    if (to) {
      to.checked = true;
      look(to.value);
    }
  } else if (event.key === "b") unfiltered(!eye.before);
  else return;
  event.preventDefault();
});

let grip = null;
$("viewer").addEventListener("pointerdown", (event) => {
  if (eye.zoom === "fit" || event.button) return;
  grip = { x: event.clientX, y: event.clientY, left: eye.left, top: eye.top };
  $("viewer").setPointerCapture(event.pointerId);
});
$("viewer").addEventListener("pointermove", (event) => {
  if (!grip) return;
  const scale = devicePixelRatio / eye.zoom;
  eye.left = Math.round(grip.left - (event.clientX - grip.x) * scale);
  eye.top = Math.round(grip.top - (event.clientY - grip.y) * scale);
  show();
});
for (const end of ["pointerup", "pointercancel"]) $("viewer").addEventListener(end, () => (grip = null));
$("viewer").addEventListener("wheel", (event) => {
  if (eye.zoom === "fit" || event.ctrlKey) return;
  event.preventDefault();
  const scale = devicePixelRatio / eye.zoom;
  move(Math.round(event.deltaX * scale), Math.round(event.deltaY * scale));
}, { passive: false });
new ResizeObserver(() => facts && show()).observe($("viewer"));

// The stack ------------------------------------------------------------------------

function draw(focus) {
  $("stack").replaceChildren(...stack.map(card));
  const wanted = focus && $("stack").querySelector(focus);
  if (wanted) (wanted.disabled ? wanted.parentElement.querySelector("button:not(:disabled), input") : wanted).focus();
  show();
}

function card(stage, index) {
  const row = filters.get(stage.filter);
  const button = (name, text, label, disabled, act) =>
    make("button", { type: "button", className: name, textContent: text, title: label, disabled, onclick: act, aria: { label: `${label}: ${stage.filter}` } });
  const go = (to, name) => {
    stack.splice(index, 1);
    stack.splice(to, 0, stage);
    draw(`[data-key="${stage.key}"] .${name}`);
  };
  const on = make("input", { type: "checkbox", checked: stage.on, title: "in use", aria: { label: `use ${stage.filter}` } });
  const item = make(
    "li",
    { dataset: { key: stage.key }, className: stage.on ? "" : "off" },
    make("div", { className: "title" },
      make("span", { className: "grip", textContent: "⠿", draggable: true, title: "drag", aria: { hidden: true } }), on, make("strong", { textContent: stage.filter }),
      button("up", "↑", "earlier", index === 0, () => go(index - 1, "up")),
      button("down", "↓", "later", index === stack.length - 1, () => go(index + 1, "down")),
      button("remove", "✕", "remove", stack.length === 1, () => {
        stack.splice(index, 1);
        draw(`li:nth-child(${Math.min(index + 1, stack.length)}) .remove`);
      })),
    make("p", { className: "soft small", textContent: row.summary }),
    ...row.parameters.map((parameter) => control(stage, parameter)),
  );
  on.onchange = () => {
    stage.on = on.checked;
    item.classList.toggle("off", !stage.on);
    show();
  };
  const last = index === stack.length - 1;
  const others = row.stage.filter(({ name }) => name !== "map" || last);
  if (!last) delete stage.values.map;
  const used = others.some(({ name, default: usual }) => (stage.values[name] ?? usual) !== usual);
  item.append(make("details", { open: used || stage.open, ontoggle: ({ target }) => (stage.open = target.open) },
    make("summary", { textContent: "borders, stride, dilation, result" }), ...others.map((parameter) => control(stage, parameter))));
  drags(item, index);
  return item;
}

function drags(item, index) {
  item.querySelector(".grip").ondragstart = (event) => {
    event.dataTransfer.setData("text/plain", String(index));
    event.dataTransfer.setDragImage(item, 10, 10);
  };
  item.ondragover = (event) => {
    event.preventDefault();
    item.classList.add("over");
  };
  item.ondragleave = () => item.classList.remove("over");
  item.ondrop = (event) => {
    event.preventDefault();
    const from = Number(event.dataTransfer.getData("text/plain"));
    if (!(from >= 0 && from < stack.length)) return;
    stack.splice(index, 0, ...stack.splice(from, 1));
    draw();
  };
}

function control(stage, parameter) {
  const { name, control: kind, unit, help, choices } = parameter;
  const id = `${stage.key}-${name}`;
  const value = () => String(stage.values[name] ?? parameter.default);
  const set = (text) => {
    stage.values[name] = text;
    show();
  };
  const words = `${name.replaceAll("_", " ")}${unit && unit !== "sample units" ? `, ${unit}` : ""}`;
  if (kind === "weights") return weights(stage, parameter, id, value, set);
  const label = make("label", { htmlFor: id, textContent: words, title: help });
  const field = (properties) => make("input", { id, value: value(), title: help, autocomplete: "off", ...properties });
  if (kind === "flag") {
    const box = field({ type: "checkbox", checked: value() === "true", value: "" });
    box.onchange = () => set(String(box.checked));
    return make("div", { className: "control" }, label, box);
  }
  if (kind === "choice") {
    const list = make("select", { id, className: "wide", title: help }, ...(choices.includes(value()) ? [] : [make("option", { value: "", textContent: "as usual" })]),
      ...choices.map((each) => make("option", { value: each, textContent: each })));
    list.value = value();
    list.onchange = () => set(list.value);
    return make("div", { className: "control" }, label, list);
  }
  if (kind !== "slider") {
    const text = field({ type: "text", className: "wide" });
    if (kind === "words") text.setAttribute("list", `${id}-words`);
    text.onchange = () => set(text.value);
    const list = kind === "words" ? [make("datalist", { id: `${id}-words` }, ...choices.map((each) => make("option", { value: each })))] : [];
    return make("div", { className: "control" }, label, text, ...list);
  }
  const first = (text) => Number.parseFloat(text) || 0;
  const slider = make("input", { type: "range", id, min: parameter.least, max: parameter.most, step: parameter.step, title: help });
  slider.value = first(value());
  const exact = make("input", { type: "text", className: "field", inputMode: "decimal", value: value(), autocomplete: "off", title: help, aria: { label: `${words} of ${stage.filter}, exactly` } });
  slider.oninput = () => {
    exact.value = slider.value;
    set(slider.value);
  };
  exact.onchange = () => {
    slider.value = first(exact.value);
    set(exact.value);
  };
  return make("div", { className: "control" }, label, slider, exact);
}

// Weights: a click paints what the brush says; the arrow keys walk, + and - change, a typed row says it all. ---------

function weights(stage, parameter, id, value, set) {
  const box = make("div", { className: "weights" });
  const text = make("input", { type: "text", id, className: "wide", value: value(), title: parameter.help, autocomplete: "off", spellcheck: false });
  const brush = { by: "1" };
  let rows = null;
  const read = () => {
    const found = text.value.trim().split(";").map((row) => row.trim().split(/[\s,]+/));
    const alike = found.every((row) => row.length === found[0].length && row.every((each) => each !== "" && /^[-+\d./e]+$/i.test(each)));
    rows = alike && Math.max(found.length, found[0].length) <= 15 ? found : null;
  };
  const write = () => {
    text.value = rows.map((row) => row.join(" ")).join("; ");
    set(text.value);
  };
  const numeric = (each) => {
    const [above, below = "1"] = each.split("/");
    return Number(above) / Number(below);
  };
  const plus = (each, by) => String(Math.round((numeric(each) + by) * 1e6) / 1e6);
  const grid = make("div", { className: "grid", role: "group", aria: { label: "Weights" } });
  const colour = () => {
    const largest = Math.max(...rows.flat().map((each) => Math.abs(numeric(each)))) || 1;
    [...grid.children].forEach((cell, place) => {
      const [row, col] = [Math.floor(place / rows[0].length), place % rows[0].length];
      const weight = numeric(rows[row][col]);
      cell.textContent = rows[row][col];
      cell.className = weight > 0 ? "positive" : weight < 0 ? "negative" : "";
      cell.style.setProperty("--share", Math.abs(weight) / largest);
      cell.setAttribute("aria-label", `row ${row + 1}, column ${col + 1}: ${rows[row][col]}`);
    });
  };
  const cells = () => {
    grid.hidden = !rows;
    if (!rows) return;
    grid.style.setProperty("--side", rows[0].length);
    grid.replaceChildren(...rows.flatMap((row, down) => row.map((_, across) => {
      const change = (act) => {
        rows[down][across] = act(rows[down][across]);
        colour();
        write();
      };
      const cell = make("button", { type: "button", tabIndex: down || across ? -1 : 0 });
      cell.onclick = () => change((each) => (brush.by === "0" ? "0" : plus(each, Number(brush.by))));
      cell.oncontextmenu = (event) => {
        event.preventDefault();
        change((each) => plus(each, -1));
      };
      cell.onkeydown = (event) => {
        const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (step) {
          const [to, at] = [down + step[0], across + step[1]];
          if (rows[to]?.[at] === undefined) return;
          cell.tabIndex = -1;
          const next = grid.children[to * rows[0].length + at];
          next.tabIndex = 0;
          next.focus();
        } else if (event.key === "+" || event.key === "-") change((each) => plus(each, event.key === "+" ? 1 : -1));
        else if (/^\d$/.test(event.key)) change(() => event.key);
        else if (event.key === "Delete" || event.key === "Backspace") change(() => "0");
        else return;
        event.preventDefault();
      };
      return cell;
    })));
    colour();
  };
  const sides = make("select", { aria: { label: "Size of the kernel" } }, ...[1, 3, 5, 7, 9].map((side) => make("option", { value: side, textContent: `${side}x${side}` })));
  sides.onchange = () => {
    const side = Number(sides.value);
    const old = rows ?? [["1"]];
    const [up, left] = [(side - old.length) >> 1, (side - old[0].length) >> 1];
    rows = Array.from({ length: side }, (_, row) => Array.from({ length: side }, (_, col) => old[row - up]?.[col - left] ?? "0"));
    cells();
    write();
  };
  const brushes = [["1", "+1"], ["-1", "−1"], ["0", "0"]].map(([by, sign]) => {
    const radio = make("input", { type: "radio", name: `${id}-brush`, value: by, checked: by === brush.by });
    radio.onchange = () => (brush.by = by);
    return make("label", {}, radio, ` ${sign}`);
  });
  text.onchange = () => {
    read();
    cells();
    set(text.value);
  };
  read();
  if (rows) sides.value = rows.length;
  cells();
  box.append(make("div", { className: "brushes", role: "group", aria: { label: "A click" } }, sides, "a click adds", ...brushes), grid,
    make("div", { className: "control" }, make("label", { htmlFor: id, textContent: "weights" }), text));
  return box;
}

// The rest -------------------------------------------------------------------------

const stageOf = (filter, values) => ({ filter, values: { ...values }, on: true, open: false, key: `stage-${number++}` });

$("add").addEventListener("click", () => {
  const row = filters.get($("more").value);
  stack.push(stageOf(row.name, row.start));
  draw(`[data-key="${stack.at(-1).key}"] input[type=range], [data-key="${stack.at(-1).key}"] .remove`);
});
for (const name of ["linear", "gray"]) $(name).addEventListener("change", show);

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const from = $(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(from.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(from);
      button.textContent = "selected";
    }
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
}

$("saving").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("saved").textContent = "saving ...";
  page.dataset.saving = "busy";
  try {
    const answer = await post("save", { ...asked(), name: $("name").value, replace: $("replace").checked });
    $("saved").textContent = `${(await answer.json()).saved} is written`;
    $("replace").checked = false;
  } catch (error) {
    $("saved").textContent = error.message;
  }
  page.dataset.saving = "idle";
});

async function begin() {
  facts = await (await fetch("facts")).json();
  filters = new Map(facts.filters.map((row) => [row.name, row]));
  $("more").append(...facts.filters.map(({ name, summary }) => make("option", { value: name, textContent: name, title: summary })));
  $("about").textContent = `${facts.source}: ${facts.size.join("x")} ${facts.kind}`;
  document.title = `${facts.source} - convfilter try`;
  $("name").value = facts.output;
  // What a configuration sets holds for the command, too.
  for (const name of ["linear", "gray"]) $(name).checked = $(name).disabled = facts[name];
  const box = region();
  [eye.left, eye.top] = [(facts.size[0] - box.width) >> 1, (facts.size[1] - box.height) >> 1].map((place) => Math.max(0, place));
  stack = facts.stack.map(({ filter, values }) => stageOf(filter, values));
  draw();
  // The program ends when this stream does, for the page is closed then.
  new EventSource("alive");
}
begin();
