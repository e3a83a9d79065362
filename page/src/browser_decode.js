/** Files other than WAV: the browser decodes them, at their own rate where that can be seen. */

import { AudioError, LONGEST, tooLong } from "./signal.js";

const ANY_RATE = 48000; // what the browser is asked for where the file's own rate is not seen

/**
 * @param {Uint8Array} bytes
 * @param {Blob} file  the same
 * @returns {Promise<{channels: Float32Array[], rate: number}>}
 * @throws {AudioError}
 */
export async function decodeFile(bytes, file) {
  const seconds = await duration(file);
  if (seconds > LONGEST) throw new AudioError(tooLong(seconds)); // before it takes gigabytes
  const { rate = ANY_RATE, numSamples, bits } = look(bytes);
  const context = new OfflineAudioContext(1, 1, Math.max(3000, rate));
  let decoded;
  try {
    decoded = await context.decodeAudioData(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  } catch {
    throw new AudioError("no sound that this browser can read");
  }
  if (numSamples && decoded.length < numSamples) {
    throw new AudioError(`cut short: ${decoded.length} of ${numSamples} samples could be read`);
  }
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, c) => decoded.getChannelData(c).slice());
  if (bits <= 16) channels.forEach(asIntegers);
  return { channels, rate: decoded.sampleRate };
}

/**
 * Samples that were 16-bit integers, over 32768, as the command has them: Chromium divides those
 * above zero by 32767.
 *
 * @param {Float32Array} samples
 */
export function asIntegers(samples) {
  if (samples.every((x) => Number.isInteger(x * 32768))) return;
  samples.forEach((x, n) => {
    if (x > 0) samples[n] = Math.round(x * 32767) / 32768;
  });
}

/** Seconds as the browser reads them off the file; 0: it cannot say. */
function duration(file) {
  const url = URL.createObjectURL(file);
  const media = new Audio();
  return new Promise((resolve) => {
    media.onloadedmetadata = () => resolve(Number.isFinite(media.duration) ? media.duration : 0);
    media.onerror = () => resolve(0);
    media.src = url;
  }).finally(() => URL.revokeObjectURL(url));
}

/**
 * The sampling rate in Hz, length, and bits a sample of a file, as far as its first bytes say.
 *
 * @param {Uint8Array} bytes
 * @returns {{rate?: number, numSamples?: number, bits?: number}}
 */
export function look(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = String.fromCharCode(...bytes.subarray(0, 64));
  if (text.startsWith("fLaC") && bytes.length > 42) {
    const high = view.getUint32(18);
    return {
      rate: high >>> 12,
      numSamples: (view.getUint8(21) & 15) * 2 ** 32 + view.getUint32(22),
      bits: ((view.getUint16(20) >> 4) & 31) + 1,
    };
  }
  if (text.startsWith("OggS")) {
    const vorbis = text.indexOf("\x01vorbis");
    if (vorbis > 0 && bytes.length > 64) return { rate: view.getUint32(vorbis + 12, true) };
    return text.includes("OpusHead") ? { rate: 48000 } : {};
  }
  const rate = mpegRate(view, text.startsWith("ID3") ? id3Size(bytes) : 0);
  return rate ? { rate } : {};
}

function id3Size(bytes) {
  return 10 + bytes.subarray(6, 10).reduce((sum, byte) => sum * 128 + byte, 0);
}

/** Of the MPEG audio frame at a byte; 0: there is none. */
function mpegRate(view, at) {
  if (at + 4 > view.byteLength || view.getUint16(at) < 0xffe0) return 0;
  const version = (view.getUint8(at + 1) >> 3) & 3;
  const layer = (view.getUint8(at + 1) >> 1) & 3;
  const index = (view.getUint8(at + 2) >> 2) & 3;
  if (version === 1 || layer === 0 || index === 3) return 0;
  return [44100, 48000, 32000][index] / { 3: 1, 2: 2, 0: 4 }[version];
}
