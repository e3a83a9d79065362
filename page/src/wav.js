/** WAV files: read exactly as libsndfile reads them, written as `bscodec decode` writes them. */

export class WavError extends Error {}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
const UNKNOWN_SIZE = 0x7ffff000; // from here on, what a program writes that does not know it yet

/** Whether the bytes begin as a WAV file does. */
export function isWav(bytes) {
  return ascii(bytes, 0) === "RIFF" && ascii(bytes, 8) === "WAVE";
}

/**
 * What a WAV file says of itself, without its samples.
 *
 * @param {Uint8Array} bytes
 * @returns {{rate: number, numChannels: number, numSamples: number, read: (at: number) => number,
 *   frameBytes: number, start: number} | null}  null: not one of PCM or floats, or RF64
 * @throws {WavError}  a damaged one, in one line
 */
export function openWav(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format = null;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (ascii(bytes, at) === "fmt ") {
      if (size < 16 || start + size > bytes.length) throw new WavError("the WAV header is damaged");
      format = readFormat(view, start, size);
      if (!format.read) return null;
    } else if (ascii(bytes, at) === "data") {
      if (!format) throw new WavError("the WAV header is damaged");
      return withLength(format, bytes, start, size);
    }
    at = start + size + (size & 1);
  }
  throw new WavError("the WAV file holds no audio");
}

function readFormat(view, start, size) {
  let kind = view.getUint16(start, true);
  if (kind === EXTENSIBLE && size >= 26) kind = view.getUint16(start + 24, true);
  const numChannels = view.getUint16(start + 2, true);
  const rate = view.getUint32(start + 4, true);
  const bits = view.getUint16(start + 14, true);
  if (!numChannels || !rate) throw new WavError("the WAV header is damaged");
  const frameBytes = numChannels * (bits / 8);
  return { rate, numChannels, frameBytes, bits, read: reader(view, kind, bits) };
}

function withLength(format, bytes, start, size) {
  const there = bytes.length - start;
  if (size > there && size < UNKNOWN_SIZE) {
    throw new WavError(`cut short: ${there} of ${size} bytes of audio are there`);
  }
  const numSamples = Math.floor(Math.min(size, there) / format.frameBytes);
  if (!numSamples) throw new WavError("the WAV file holds no audio");
  return { ...format, start, numSamples };
}

/** How a sample at a byte is read, at full scale +-1; null: a kind that is not known here. */
function reader(view, kind, bits) {
  if (kind === FLOAT && bits === 32) return (at) => view.getFloat32(at, true);
  if (kind === FLOAT && bits === 64) return (at) => Math.fround(view.getFloat64(at, true));
  if (kind !== PCM) return null;
  if (bits === 8) return (at) => (view.getUint8(at) - 128) / 128;
  if (bits === 16) return (at) => view.getInt16(at, true) / 32768;
  if (bits === 24) {
    return (at) => (view.getUint8(at) + 256 * view.getInt16(at + 1, true)) / 8388608;
  }
  if (bits === 32) return (at) => Math.fround(view.getInt32(at, true)) / 2147483648;
  return null;
}

/**
 * All samples, channel by channel.
 *
 * @param {ReturnType<typeof openWav>} wav
 * @returns {Float32Array[]}
 */
export function wavChannels(wav) {
  const width = wav.frameBytes / wav.numChannels;
  return Array.from({ length: wav.numChannels }, (_, channel) => {
    const samples = new Float32Array(wav.numSamples);
    let at = wav.start + channel * width;
    for (let n = 0; n < samples.length; n++, at += wav.frameBytes) samples[n] = wav.read(at);
    return samples;
  });
}

/**
 * One channel as 16-bit integers, cut off at full scale.
 *
 * @param {Float32Array} samples
 * @param {number} rate  in Hz
 * @returns {Uint8Array}
 */
export function writeWav(samples, rate) {
  const bytes = new Uint8Array(44 + 2 * samples.length);
  const view = new DataView(bytes.buffer);
  const put = (text, at) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  put("RIFF", 0);
  view.setUint32(4, bytes.length - 8, true);
  put("WAVEfmt ", 8);
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  put("data", 36);
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, n) => view.setInt16(44 + 2 * n, toInt16(x), true));
  return bytes;
}

/** As libsndfile does: the high half of the 32-bit integer that is nearest. */
function toInt16(x) {
  return Math.max(-32768, Math.min(32767, Math.floor(Math.round(x * 2 ** 31) / 65536)));
}

function ascii(bytes, at) {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
