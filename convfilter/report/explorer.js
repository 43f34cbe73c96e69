"use strict";
document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".explorer").forEach(explore));

function explore(section) {
  const { levels, stages, channels } = JSON.parse(section.querySelector("script").textContent);
  const last = stages.length;
  // Each level has a map of values for each of its channels that is drawn: one, or all where layers go across them.
  for (const level of levels) level.maps ??= [level.values];
  const grids = [];
  const kernels = [];
  const sums = [];
  // What is chosen: a pixel of one level, and from it one of each level before, with its channel; perhaps a weight of a
  // stage. What is lit: rows and columns of each level, and its channels.
  const chosen = [];
  const channel = [];
  let root = last;
  let weight = null;
  let lit = [];
  let litChannels = [];

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const write = (value, digits = 6) => (value === null ? "none" : String(Number(value.toPrecision(digits)))).replace("-", "\u2212");
  const fraction = ({ numerators, divisor }, [row, col], digits = 6) => {
    const above = numerators[row][col];
    const isFraction = divisor !== 1 && above !== 0 && Number.isInteger(above) && Number.isInteger(divisor);
    return isFraction ? `${write(above)}/${write(divisor)}` : write(above / divisor, digits);
  };
  const valueAt = ({ top, left, maps }, map, [row, col]) => maps[map][row - top]?.[col - left];
  const count = (number) => Array.from({ length: number }, (_, index) => index);
  // The channels of the level before that a channel of a stage's result is computed from.
  const inputsOf = (number, output) => {
    const stage = stages[number];
    if (stage.kind === "across") return count(levels[number].maps.length);
    if (stage.kind !== "mix") return [output];
    const outputs = levels[number + 1].maps.length / stage.groups;
    return count(stage.slots).map((slot) => Math.floor(output / outputs) * stage.slots + slot);
  };
  const kernelsOf = (number) => {
    const { kind, kernels: all, slots } = stages[number];
    return kind === "mix" ? all.slice((channel[number + 1] ?? 0) * slots, ((channel[number + 1] ?? 0) + 1) * slots) : all;
  };
  const isReal = ({ size }, [row, col]) => row >= 0 && col >= 0 && row < size[0] && col < size[1];

  // Which places of the level before an output sees, axis by axis, padding included. ------------------------------
  const window_ = (stage, axis, place) => {
    if (stage.kind === "spread") return place % stage.stride[axis] === 0 ? [place / stage.stride[axis]] : [];
    return Array.from({ length: stage.size[axis] }, (_, tap) => place * stage.stride[axis] - stage.before[axis] + tap * stage.dilation[axis]);
  };
  // Padded places stand for samples of the picture: those are what is seen.
  const real = (level, axis, place) => {
    const first = axis ? level.left : level.top;
    return (axis ? level.cols : level.rows)[place - first] ?? -1;
  };
  const seenFrom = (number, places) => {
    const [stage, level] = [stages[number], levels[number]];
    return [0, 1].map((axis) => new Set([...places[axis]].flatMap((place) => window_(stage, axis, place))
      .flatMap((place) => [place, real(level, axis, place)])
      .filter((place) => place >= (axis ? level.left : level.top) && place < (axis ? level.left + level.cols.length : level.top + level.rows.length))));
  };
  const onlyReal = (number, places) => places.map((set, axis) => [...set].filter((place) => place >= 0 && place < levels[number].size[axis]));
  const seeing = (number, places) => {
    const [stage, level] = [stages[number - 1], levels[number]];
    return [0, 1].map((axis) => {
      const first = axis ? level.left : level.top;
      const count = (axis ? level.cols : level.rows).length;
      const all = Array.from({ length: count }, (_, index) => first + index);
      return new Set(all.filter((place) => place >= 0 && place < level.size[axis] && window_(stage, axis, place).some((seen) => places[axis].has(seen))));
    });
  };

  const choose = (number, place, map = 0) => {
    root = number;
    chosen.length = channel.length = 0;
    chosen[number] = place;
    channel[number] = map;
    for (let below = number; below > 0; below--) {
      const stage = stages[below - 1];
      chosen[below - 1] = [0, 1].map((axis) => {
        const spread = stage.kind === "spread";
        const all = spread ? [Math.floor(chosen[below][axis] / stage.stride[axis])] : window_(stage, axis, chosen[below][axis]);
        return Math.min(Math.max(all[(all.length - 1) >> 1], 0), levels[below - 1].size[axis] - 1);
      });
      const inputs = inputsOf(below - 1, channel[below]);
      channel[below - 1] = inputs.includes(channel[below]) ? channel[below] : inputs[0];
    }
    const one = [new Set([place[0]]), new Set([place[1]])];
    lit = [];
    lit[number] = one;
    for (let below = number; below > 0; below--) lit[below - 1] = seenFrom(below - 1, onlyReal(below, lit[below]));
    for (let above = number + 1; above <= last; above++) lit[above] = seeing(above, lit[above - 1]);
    litChannels = [];
    litChannels[number] = new Set([map]);
    for (let below = number; below > 0; below--) litChannels[below - 1] = new Set([...litChannels[below]].flatMap((each) => inputsOf(below - 1, each)));
    for (let above = number + 1; above <= last; above++)
      litChannels[above] = new Set(count(levels[above].maps.length).filter((each) => inputsOf(above - 1, each).some((input) => litChannels[above - 1].has(input))));
    draw();
  };

  // The sum of one stage, as terms and as a number. ----------------------------------------------------------------
  const termsOf = (stage, kernel, level, map, place) => {
    const [rows, cols] = [0, 1].map((axis) => window_(stage, axis, place[axis]));
    const terms = [];
    rows.forEach((row, i) => cols.forEach((col, j) => {
      const above = kernel ? kernel.numerators[i][j] : 1;
      const sample = valueAt(level, map, [row, col]);
      if (above !== 0) terms.push({ i, j, above, sample });
    }));
    return terms;
  };
  const total = (terms, divisor) => terms.reduce((sum, { above, sample }) => sum + above * sample, 0) / divisor;
  const MOST_TERMS = 16;
  const spell = (terms, divisor, number, slot) => {
    const marked = ({ i, j }) => Boolean(weight && weight.stage === number && weight.slot === slot && weight.place[0] === i && weight.place[1] === j);
    const share = ({ above, sample }) => Math.abs(above * sample);
    const shown = [...terms].sort((a, b) => marked(b) - marked(a) || share(b) - share(a)).slice(0, MOST_TERMS).sort((a, b) => a.i - b.i || a.j - b.j);
    const parts = shown.flatMap((term, index) => {
      const text = `${write(term.above, 4)}\u00b7${write(term.sample)}`;
      return [index ? " + " : "", marked(term) ? make("strong", { textContent: text }) : text];
    });
    if (terms.length > MOST_TERMS) parts.push(` + \u2026 (the largest of ${terms.length} terms)`);
    return divisor === 1 ? parts : ["(", ...parts, `) / ${write(divisor)}`];
  };

  // A layer's sum: one for each input channel, their total with the bias, and what follows.
  const mixed = (number, place, known) => {
    const [stage, level] = [stages[number], levels[number]];
    const inputs = inputsOf(number, channel[number + 1]);
    const bias = stage.bias[channel[number + 1]];
    const parts = [];
    const found = kernelsOf(number).map((kernel, slot) => {
      const terms = termsOf(stage, kernel, level, inputs[slot], place);
      if (terms.some(({ sample }) => sample === undefined)) return undefined;
      parts.push(make("span", { className: "term" }, `${level.names[inputs[slot]]}: `, ...(terms.length ? spell(terms, kernel.divisor, number, slot) : ["0"]), ` = ${write(total(terms, kernel.divisor))}`), " ");
      return total(terms, kernel.divisor);
    });
    if (found.includes(undefined)) return [`${known}, of ${inputs.length} channels`];
    const sum = found.reduce((all, each) => all + each, bias);
    const isPlain = stage.activation === "none" && stage.scale === 1 && stage.offset === 0;
    const after = [...(stage.activation === "none" ? [] : [stage.activation]), ...(stage.scale === 1 && stage.offset === 0 ? [] : [`scale ${write(stage.scale)}, offset ${write(stage.offset)}`])].join(", ");
    const list = [...found, ...(bias ? [bias] : [])].map((each) => write(each)).join(" + ");
    return [...parts, make("span", { className: "term" }, `${levels[number + 1].names[channel[number + 1]]}: ${list} = ${write(sum)}${isPlain ? "" : `, ${after}: ${known}`}`)];
  };

  const workOut = (number) => {
    const [stage, level, result] = [stages[number], levels[number], levels[number + 1]];
    const place = chosen[number + 1];
    if (!place) return ["\u2014"];
    const map = channel[number];
    const value = valueAt(result, channel[number + 1], place);
    const where = `row ${place[0]}, column ${place[1]}: `;
    const known = value === undefined ? "not drawn" : write(value);
    const after = (sum) => (stage.scale === 1 && stage.offset === 0 ? [] : [` \u2192 ${write(stage.scale)}\u00b7${write(sum)} + ${write(stage.offset)} = ${known}`]);
    if (stage.kind === "spread") return [where, [0, 1].every((axis) => window_(stage, axis, place[axis]).length) ? `the sample ${known}` : "a zero between samples"];
    if (stage.kind === "mix") return [where, ...mixed(number, place, known)];
    if (stage.kind === "across") return [where, `${known}, of all channels`];
    const terms = stage.kernels.map((kernel) => termsOf(stage, kernel, level, map, place));
    const samples = termsOf(stage, null, level, map, place);
    if (samples.some(({ sample }) => sample === undefined) || stage.kind === "window") return [where, `${known}, of ${samples.length} pixels`];
    if (stage.kind === "point") return [where, `${write(samples[0].sample)} \u2192 ${known}`];
    if (["max", "min", "average"].includes(stage.kind)) {
      const real_ = samples.filter(({ sample }) => sample !== null).map(({ sample }) => sample);
      const list = real_.slice(0, MOST_TERMS).map((value) => write(value)).join(", ") + (real_.length > MOST_TERMS ? ", \u2026" : "");
      return [where, `${stage.kind} of ${list} = ${known}`];
    }
    if (!stage.kernels.length) return [where, `${known}, of ${samples.length} terms`];
    const found = stage.kernels.map((kernel, index) => total(terms[index], kernel.divisor));
    const spelled = stage.kernels.map((kernel, index) => spell(terms[index], kernel.divisor, number));
    if (stage.kind === "sum") return [where, ...spelled[0], ` = ${write(found[0])}`, ...after(found[0])];
    if (stage.kind === "magnitude") {
      const size = Math.hypot(...found);
      return [where, "x = ", ...spelled[0], ` = ${write(found[0])}; y = `, ...spelled[1], ` = ${write(found[1])}; \u221a(x\u00b2 + y\u00b2) = ${write(size)}`, ...after(size)];
    }
    const middle = valueAt(level, map, [0, 1].map((axis) => window_(stage, axis, place[axis])[(stage.size[axis] - 1) >> 1]));
    return [where, "blurred = ", ...spelled[0], ` = ${write(found[0])}; ${write(middle)} + ${write(stage.amount)}\u00b7(${write(middle)} \u2212 ${write(found[0])}) = ${known}`];
  };

  // Drawing ------------------------------------------------------------------------------------------------------
  const colours = () => {
    const style = getComputedStyle(section);
    return (name) => style.getPropertyValue(`--${name}`).trim();
  };

  function grid(columns, rows, label, paint, pick, beside = 1) {
    const canvas = make("canvas", { tabIndex: 0 });
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", label);
    let at = [0, 0];
    const cell = () => {
      const room = Math.min(section.clientWidth - 2, columns > 20 ? 620 : 420, beside > 1 && section.clientWidth > 700 ? 280 : 620);
      return Math.max(5, Math.min(38, Math.floor(room / columns)));
    };
    const draw_ = () => {
      const side = cell();
      const scale = devicePixelRatio;
      [canvas.width, canvas.height] = [columns, rows].map((count) => Math.round((count * side + 2) * scale));
      [canvas.style.width, canvas.style.height] = [columns, rows].map((count) => `${count * side + 2}px`);
      const context = canvas.getContext("2d");
      context.scale(scale, scale);
      context.translate(1, 1);
      context.textAlign = "center";
      context.textBaseline = "middle";
      for (let row = 0; row < rows; row++) for (let col = 0; col < columns; col++) {
        context.save();
        context.translate(col * side, row * side);
        paint(context, row, col, side);
        context.restore();
      }
    };
    canvas.onclick = (event) => {
      const box = canvas.getBoundingClientRect();
      const side = cell();
      at = [Math.floor((event.clientY - box.top - 1) / side), Math.floor((event.clientX - box.left - 1) / side)]
        .map((place, axis) => Math.min(Math.max(place, 0), (axis ? columns : rows) - 1));
      pick(at);
    };
    canvas.onkeydown = (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0], " ": [0, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      at = [at[0] + step[0], at[1] + step[1]].map((place, axis) => Math.min(Math.max(place, 0), (axis ? columns : rows) - 1));
      pick(at);
    };
    return { canvas, draw: draw_, put: (place) => (at = place) };
  }

  const box = (context, side, colour, width) => {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(width / 2, width / 2, side - width, side - width);
  };

  function levelGrid(number, map) {
    const level = levels[number];
    let low, high;
    const range = () => {
      const flat = level.maps[map].flat().filter((value) => value !== null);
      [low, high] = [Math.min(...flat), Math.max(...flat)];
    };
    let colour = colours();
    const paint = (context, row, col, side) => {
      const place = [row + level.top, col + level.left];
      const value = level.maps[map][row][col];
      const share = value === null || high === low ? 0.5 : (value - low) / (high - low);
      const bright = Math.round(30 + 215 * share);
      const padded = !isReal(level, place);
      context.fillStyle = value === null ? colour("card") : `rgb(${bright} ${bright} ${bright})`;
      context.globalAlpha = padded ? 0.45 : 1;
      context.fillRect(0, 0, side, side);
      context.globalAlpha = 1;
      if (padded) {
        context.strokeStyle = colour("soft");
        context.lineWidth = 1;
        context.beginPath();
        for (let shift = 0; shift <= side; shift += 6) {
          context.moveTo(shift, 0);
          context.lineTo(0, shift);
          context.moveTo(side, shift);
          context.lineTo(shift, side);
        }
        context.stroke();
      }
      const isLit = litChannels[number]?.has(map) && lit[number][0].has(place[0]) && lit[number][1].has(place[1]);
      if (isLit) {
        context.fillStyle = colour(number > root ? "negative" : "positive");
        context.globalAlpha = 0.42;
        context.fillRect(0, 0, side, side);
        context.globalAlpha = 1;
      }
      if (side >= 12) box(context, side, colour("edge"), 0.5);
      if (side >= 24 && value !== null) {
        const text = String(Number(value.toPrecision(3))).replace("-", "\u2212");
        context.font = `${Math.min(13, (side * 1.6) / Math.max(2, text.length))}px system-ui, sans-serif`;
        context.fillStyle = padded ? colour("ink") : share > (isLit ? 0.3 : 0.45) ? "#111" : "#fff";
        context.fillText(text, side / 2, side / 2);
      }
      const input = channel[number + 1] === undefined ? 0 : inputsOf(number, channel[number + 1])[weight?.slot ?? 0];
      if (weight && weight.stage === number && (weight.slot === undefined || input === map)) {
        const stage = stages[number];
        const meets = [0, 1].every((axis) => {
          const output = (place[axis] + stage.before[axis] - weight.place[axis] * stage.dilation[axis]) / stage.stride[axis];
          return Number.isInteger(output) && output >= 0 && output < levels[number + 1].size[axis];
        });
        if (meets) {
          context.fillStyle = colour("gain");
          context.beginPath();
          context.arc(side * 0.82, side * 0.18, Math.max(1.5, side * 0.1), 0, 7);
          context.fill();
        }
        const now = chosen[number + 1];
        if (now && [0, 1].every((axis) => window_(stage, axis, now[axis])[weight.place[axis]] === place[axis])) box(context, side, colour("gain"), 3);
      }
      if (chosen[number] && channel[number] === map && chosen[number][0] === place[0] && chosen[number][1] === place[1]) box(context, side, colour("accent"), 3);
    };
    const name = level.names && level.maps.length > 1 ? `${level.names[map]} of ${level.name}` : level.name;
    const made = grid(level.cols.length, level.rows.length, `${name}, ${level.size[1]}x${level.size[0]}; arrow keys choose a pixel`, paint, (at) => {
      const place = [at[0] + level.top, at[1] + level.left];
      choose(number, [0, 1].map((axis) => Math.min(Math.max(place[axis], 0), level.size[axis] - 1)), map);
    }, level.maps.length);
    const draw_ = made.draw;
    made.draw = () => {
      colour = colours();
      range();
      draw_();
    };
    return made;
  }

  // The kernel of a stage, or of a layer's input channel ``slot`` for the output channel that is chosen.
  function kernelGrid(number, index, slot) {
    const [{ numerators: first, title }, columns] = [stages[number].kernels[index], stages[number].kernels[index].numerators[0].length];
    const paint = (context, row, col, side) => {
      const colour = colours();
      const now = kernelsOf(number);
      const kernel = now[index];
      const { numerators } = kernel;
      const largest = Math.max(...(slot === undefined ? [kernel] : now).flatMap((each) => each.numerators.flat()).map(Math.abs)) || 1;
      const above = numerators[row][col];
      context.fillStyle = colour(above < 0 ? "negative" : "positive");
      context.globalAlpha = (0.6 * Math.abs(above)) / largest;
      context.fillRect(0, 0, side, side);
      context.globalAlpha = 1;
      box(context, side, colour("edge"), 0.5);
      if (side >= 24 && columns <= 9) {
        const text = fraction(kernel, [row, col], 3);
        context.font = `${Math.min(13, (side * 1.6) / Math.max(2, text.length))}px system-ui, sans-serif`;
        context.fillStyle = colour("ink");
        context.fillText(text, side / 2, side / 2);
      }
      if (weight && weight.stage === number && weight.slot === slot && weight.place[0] === row && weight.place[1] === col) box(context, side, colour("gain"), 3);
    };
    const name = slot === undefined ? title : `${title} of input ${slot}`;
    return grid(columns, first.length, `${name} of ${stages[number].name}; arrow keys choose a weight`, paint, (at) => {
      weight = { stage: number, place: at, slot };
      draw();
    }, slot === undefined ? 1 : stages[number].slots);
  }

  const about = (number) => {
    if (!weight || weight.stage !== number || !stages[number].kernels.length) return "";
    const stage = stages[number];
    const kernel = kernelsOf(number)[weight.slot ?? 0];
    const now = chosen[number + 1];
    const met = now && [0, 1].map((axis) => window_(stage, axis, now[axis])[weight.place[axis]]);
    const steps = stage.stride[0] === 1 && stage.stride[1] === 1 ? "every pixel with a dot" : `every ${stage.stride[1]}x${stage.stride[0]}th pixel, with a dot`;
    return ` The weight ${fraction(kernel, weight.place)} in row ${weight.place[0]}, column ${weight.place[1]} meets ${met ? `row ${met[0]}, column ${met[1]} here, and ` : ""}${steps} for all outputs.`;
  };

  function draw() {
    grids.forEach((maps, number) => maps.forEach((each) => {
      each.draw();
      if (chosen[number]) each.put([chosen[number][0] - levels[number].top, chosen[number][1] - levels[number].left]);
    }));
    kernels.forEach((each) => each.draw());
    sums.forEach((element, number) => element.replaceChildren(...workOut(number), about(number)));
  }

  const body = section.querySelector(".levels");
  for (let number = 0; number <= last; number++) {
    if (number) {
      const stage = stages[number - 1];
      const [height, width] = stage.size;
      const isMix = stage.kind === "mix";
      const figures = count(isMix ? stage.slots : stage.kernels.length).map((index) => {
        const made = kernelGrid(number - 1, index, isMix ? index : undefined);
        kernels.push(made);
        return make("div", { className: "scroll" }, made.canvas);
      });
      const geometry = stage.kind === "spread" ? `samples lie ${stage.stride[1]}x${stage.stride[0]} apart` : `window ${width}x${height}, stride ${stage.stride[1]}x${stage.stride[0]}, dilation ${stage.dilation[1]}x${stage.dilation[0]}, padding ${stage.before[1]} left, ${stage.before[0]} above`;
      sums[number - 1] = make("p", { className: "sum" });
      sums[number - 1].setAttribute("aria-live", "polite");
      body.append(make("div", { className: "step" }, make("h3", {}, `${number}. `, make("code", { textContent: stage.name })), make("p", { className: "soft small", textContent: geometry }),
        make("div", { className: "weights" }, ...figures), sums[number - 1]));
    }
    const level = levels[number];
    grids[number] = count(level.maps.length).map((map) => levelGrid(number, map));
    const whole = level.rows.length >= level.size[0] && level.cols.length >= level.size[1];
    const text = `${number ? `after ${level.name}` : level.name}: ${level.size[1]}x${level.size[0]}${whole ? "" : `; rows ${level.top} to ${level.top + level.rows.length - 1}, columns ${level.left} to ${level.left + level.cols.length - 1} are drawn`}`;
    const named = ({ canvas }, map) => level.maps.length === 1 ? make("div", { className: "scroll" }, canvas)
      : make("div", { className: "scroll" }, make("div", { className: "soft small", textContent: level.names[map] }), canvas);
    body.append(make("figure", {}, make("figcaption", { className: "small", textContent: text }), make("div", { className: "maps" }, ...grids[number].map(named))));
  }
  const middle = levels[last];
  choose(last, [0, 1].map((axis) => {
    const first = Math.max(axis ? middle.left : middle.top, 0);
    const end = Math.min(first + (axis ? middle.cols : middle.rows).length, middle.size[axis]);
    return (first + end - 1) >> 1;
  }));
  section.querySelector(".channels select")?.addEventListener("change", (event) => {
    channels[event.target.selectedIndex].values.forEach((values, number) => (levels[number].maps = [values]));
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let across = section.clientWidth;
  new ResizeObserver(() => {
    if (section.clientWidth !== across) {
      across = section.clientWidth;
      draw();
    }
  }).observe(section);
}
