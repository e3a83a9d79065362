/** Audio of any rate and number of channels as the one channel that is coded. */

import { resample } from "./resample.js";

export class AudioError extends Error {}

export const LONGEST = 600; // seconds: each takes half a megabyte of memory
export const SHORTEST_RATE = 1000; // Hz; what has less is no audio
const HIGHEST_RATE = 768000;

/**
 * Refuse what is no audio or too long, before memory is taken for it.
 *
 * @param {number} numSamples
 * @param {number} rate  in Hz
 */
export function checkLength(numSamples, rate) {
  if (rate < SHORTEST_RATE || rate > HIGHEST_RATE) throw new AudioError(`${rate} Hz is no rate of audio`);
  if (!numSamples) throw new AudioError("the file holds no audio");
  if (numSamples > LONGEST * rate) throw new AudioError(tooLong(numSamples / rate));
}

/** @param {number} seconds */
export function tooLong(seconds) {
  const minutes = (seconds / 60).toFixed(1);
  return `${minutes} minutes are too long for this page, which takes ${LONGEST / 60}: use the bscodec command`;
}

/**
 * The mean of all channels, in 32-bit floats as the command computes it.
 *
 * @param {Float32Array[]} channels
 * @returns {Float32Array}
 */
export function downmix(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((first, n) => {
    let sum = first;
    for (let c = 1; c < channels.length; c++) sum = Math.fround(sum + channels[c][n]);
    return sum / channels.length;
  });
}

/**
 * @param {Float32Array[]} channels
 * @param {number} rate  theirs, in Hz
 * @param {number} newRate  the model's
 * @returns {{audio: Float32Array, originalRate: number, originalSamples: number}}  the last two as
 *   a `.bsc` file keeps them: 0 where the rate is the model's
 */
export function prepare(channels, rate, newRate) {
  const mixed = downmix(channels);
  const bad = mixed.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) throw new AudioError(`the sample at ${(bad / rate).toFixed(3)} s is NaN or infinite`);
  const same = rate === newRate;
  const audio = same ? mixed : resample(mixed, rate, newRate);
  return { audio, originalRate: same ? 0 : rate, originalSamples: same ? 0 : mixed.length };
}

