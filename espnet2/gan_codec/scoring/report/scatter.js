// Every pair of utterances as a point between two metrics that can be chosen.
"use strict";

{
  const data = JSON.parse(document.getElementById("pairs").textContent);
  const svg = document.querySelector("#scatter svg");
  const [across, up, domain] = ["x", "y", "d"].map((n) => document.querySelector(`#scatter [name=${n}]`));
  const [W, H] = [640, 360];
  const make = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const range = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = 0.06 * (high - low) || 0.05 * Math.abs(high) || 1;
    return [low - room, high + room];
  };
  const label = (value) => String(Number(value.toPrecision(3)));

  const draw = () => {
    const [i, j] = [Number(across.value), Number(up.value)];
    const shown = data.pairs.filter(
      (p) => (!domain.value || p.d === domain.value) && p.v[i] !== null && p.v[j] !== null);
    svg.replaceChildren();
    if (!shown.length) {
      svg.append(make("text", { x: W / 2, y: H / 2, "text-anchor": "middle" }, "no utterance has both"));
      return;
    }
    const [x0, x1] = range(shown.map((p) => p.v[i]));
    const [y0, y1] = range(shown.map((p) => p.v[j]));
    svg.append(make("path", { class: "frame", d: `M0 0V${H}H${W}` }));
    for (let k = 0; k <= 4; k++) {
      const [x, y] = [x0 + (k * (x1 - x0)) / 4, y0 + (k * (y1 - y0)) / 4];
      svg.append(make("text", { x: (k * W) / 4, y: H + 18, "text-anchor": "middle" }, label(x)));
      svg.append(make("text", { x: -8, y: H - (k * H) / 4 + 4, "text-anchor": "end" }, label(y)));
    }
    for (const p of shown) {
      const [x, y] = [((p.v[i] - x0) / (x1 - x0)) * W, H - ((p.v[j] - y0) / (y1 - y0)) * H];
      const point = make("circle", { cx: x, cy: y, r: 4, class: `system-${p.s % 8}` });
      point.append(make("title", {}, `${data.systems[p.s]}, ${p.n}: ${p.v[i]}, ${p.v[j]}`));
      svg.append(point);
    }
  };

  data.metrics.forEach((metric, index) => {
    for (const select of [across, up]) select.add(new Option(`${metric.name} ${metric.arrow}`, index));
  });
  for (const name of new Set(data.pairs.map((p) => p.d))) domain.add(new Option(name, name));
  const first = (names) => {
    const found = names.map((n) => data.metrics.findIndex((m) => m.name === n)).find((k) => k >= 0);
    return found ?? data.metrics.length - 1;
  };
  across.value = first(["mel"]);
  up.value = first(["STFT", "SI-SDR"]);
  for (const select of [across, up, domain]) select.addEventListener("change", draw);
  draw();
}
