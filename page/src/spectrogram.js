/** Spectrograms on a mel-like scale of frequency, as many columns as there are pixels. */

import { paint } from "./palette.js";

const SIZE = 1024; // samples of a window
const RANGE = 85; // dB that are shown
const WINDOW = Float32Array.from({ length: SIZE }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / SIZE));

/**
 * Power in dB, column after column, from low to high bins.
 *
 * @param {Float32Array[]} signals  whose sum is looked at
 * @param {number} columns
 * @returns {Float32Array}  columns * SIZE / 2
 */
export function analyse(signals, columns) {
  const length = signals[0]?.length ?? 0;
  const result = new Float32Array((columns * SIZE) / 2).fill(-200);
  const [re, im] = [new Float32Array(SIZE), new Float32Array(SIZE)];
  for (let column = 0; column < columns && length; column++) {
    const first = Math.round(((column + 0.5) / columns) * length - SIZE / 2);
    re.fill(0);
    im.fill(0);
    for (const samples of signals) {
      const end = Math.min(SIZE, length - first);
      for (let n = Math.max(0, -first); n < end; n++) re[n] += samples[first + n];
    }
    for (let n = 0; n < SIZE; n++) re[n] *= WINDOW[n];
    fft(re, im);
    for (let bin = 0; bin < SIZE / 2; bin++) {
      const power = re[bin] ** 2 + im[bin] ** 2;
      result[(column * SIZE) / 2 + bin] = 10 * Math.log10(power + 1e-20);
    }
  }
  return result;
}

/** The loudest value of a spectrogram, in dB. */
export function loudest(spectrogram) {
  return spectrogram.reduce((most, value) => Math.max(most, value), -120);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} spectrogram  as of `analyse`, with as many columns as the canvas has
 * @param {number} top  what is brightest, in dB
 * @param {number} rate  in Hz
 * @param {number[]} edges  frequencies to mark, in Hz
 */
export function draw(canvas, spectrogram, top, rate, edges) {
  const { width, height } = canvas;
  const rows = Float32Array.from({ length: height }, (_, y) => {
    return (fromMel((1 - (y + 0.5) / height) * toMel(rate / 2)) / rate) * SIZE;
  });
  paint(canvas, (x, y) => {
    const bin = Math.min(SIZE / 2 - 2, Math.floor(rows[y]));
    const part = Math.min(1, rows[y] - bin);
    const at = (x * SIZE) / 2 + bin;
    const value = spectrogram[at] * (1 - part) + spectrogram[at + 1] * part;
    return (value - top + RANGE) / RANGE;
  });
  label(canvas, edges, rate);
}

function label(canvas, edges, rate) {
  const context = canvas.getContext("2d");
  const scale = devicePixelRatio;
  context.font = `${11 * scale}px system-ui, sans-serif`;
  const { color, backgroundColor } = getComputedStyle(canvas.parentElement);
  context.fillStyle = color;
  context.strokeStyle = backgroundColor;
  context.lineWidth = 4 * scale;
  context.lineJoin = "round";
  for (const edge of edges.filter((hz) => hz > 0 && hz < rate / 2)) {
    const y = Math.round((1 - toMel(edge) / toMel(rate / 2)) * canvas.height);
    context.globalAlpha = 0.22;
    context.fillRect(0, y, canvas.width, Math.max(1, Math.round(scale / 2)));
    context.globalAlpha = 0.8;
    context.strokeText(`${edge} Hz`, 7 * scale, y - 3 * scale); // a rim that keeps it readable
    context.globalAlpha = 1;
    context.fillText(`${edge} Hz`, 7 * scale, y - 3 * scale);
  }
  context.globalAlpha = 1;
}

const toMel = (hz) => Math.log1p(hz / 300);
const fromMel = (mel) => 300 * Math.expm1(mel);

/** In place, radix 2. */
function fft(re, im) {
  for (let i = 1, j = 0; i < SIZE; i++) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j]] = [re[j], re[i]];
  }
  for (let size = 2; size <= SIZE; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k++) {
      const [cos, sin] = TWIDDLES[(k * SIZE) / size];
      for (let a = k; a < SIZE; a += size) {
        const b = a + half;
        const real = re[b] * cos - im[b] * sin;
        const imaginary = re[b] * sin + im[b] * cos;
        re[b] = re[a] - real;
        im[b] = im[a] - imaginary;
        re[a] += real;
        im[a] += imaginary;
      }
    }
  }
}

const TWIDDLES = Array.from({ length: SIZE / 2 }, (_, k) => {
  const angle = (-2 * Math.PI * k) / SIZE;
  return [Math.cos(angle), Math.sin(angle)];
});
