/** The list of bands: mute, solo, and the codes of each as a picture. */

import { fit, paint } from "./palette.js";

/**
 * Fill the list, highest band first, as in a spectrogram.
 *
 * @param {HTMLElement} list
 * @param {number[][]} bands  [low, high] in Hz
 * @param {(audible: boolean[]) => void} changed
 * @returns {HTMLCanvasElement[]}  one a band, for its codes
 */
export function fillBands(list, bands, changed) {
  const rows = bands.map(([low, high]) => {
    const name = `${low} to ${high} Hz`;
    const row = document.createElement("li");
    row.innerHTML = `
      <span class="range">${low}–${high} <small>Hz</small></span>
      <span class="switches">
        <button type="button" aria-pressed="false" aria-label="Mute ${name}">Mute</button>
        <button type="button" aria-pressed="false" aria-label="Solo ${name}">Solo</button>
      </span>
      <div class="plot"><canvas role="img" aria-label="Codes of ${name}"></canvas></div>`;
    return row;
  });
  const buttons = rows.map((row) => [...row.querySelectorAll("button")]);
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const update = () => {
    const anySolo = buttons.some(([, solo]) => pressed(solo));
    const audible = buttons.map(([mute, solo]) => (anySolo ? pressed(solo) : !pressed(mute)));
    rows.forEach((row, band) => row.classList.toggle("silent", !audible[band]));
    changed(audible);
  };
  for (const button of buttons.flat()) {
    button.onclick = () => {
      button.setAttribute("aria-pressed", String(!pressed(button)));
      update();
    };
  }
  list.replaceChildren(...rows.toReversed());
  return rows.map((row) => row.querySelector("canvas"));
}

/**
 * Draw the codes of a band: a column a frame, darker for higher numbers.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Uint32Array} codes
 * @param {number} size  of the codebook
 */
export function drawCodes(canvas, codes, size) {
  fit(canvas);
  const colours = Float32Array.from({ length: canvas.width }, (_, x) => {
    return 0.08 + (0.84 * codes[Math.floor((x / canvas.width) * codes.length)]) / size;
  });
  paint(canvas, (x) => colours[x]);
}
