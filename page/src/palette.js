/** Values from 0 to 1 as colours of the page's theme, and canvases as sharp as the screen. */

const LIGHT = ["#f3f6f6", "#c6dfe0", "#74b3ba", "#2c7a8c", "#184a63", "#0c1f33"];
const DARK = ["#0c1115", "#143742", "#1d6273", "#43a0a4", "#a9d6b4", "#fdf3c4"];

const isDark = matchMedia("(prefers-color-scheme: dark)");

/** Call when the theme changes. */
export function onTheme(changed) {
  isDark.addEventListener("change", changed);
}

/**
 * Colour every pixel of a canvas.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {(x: number, y: number) => number} value  0: the background
 */
export function paint(canvas, value) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = table(isDark.matches ? DARK : LIGHT);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      pixels[at] = colours[Math.max(0, Math.min(255, Math.round(value(x, y) * 255)))];
    }
  }
  context.putImageData(image, 0, 0);
}

/** Give a canvas the pixels of its place on the screen. */
export function fit(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(width * devicePixelRatio));
  canvas.height = Math.max(1, Math.round(height * devicePixelRatio));
}

/** 256 colours as an ImageData holds them, between the named ones. */
function table(stops) {
  const parts = stops.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(place));
    const mix = (c) => Math.round(parts[low][c] + (place - low) * (parts[low + 1][c] - parts[low][c]));
    return (255 << 24) | (mix(2) << 16) | (mix(1) << 8) | mix(0);
  });
}
