/**
 * Resampling as soxr's high quality does it, which the command uses: a sharp low-pass between the
 * lower rate and twice that, designed with the same window, and a gentle one for the rest of the way.
 */

// the sharp filter, fitted to soxr's answer to an impulse: `python -m tests.web_page.soxr_filter`
const PASS_BAND = 0.9137437; // of half the lower rate; nothing is left from that half on
const BETA = 13.0401; // of the Kaiser window: rejects more than 120 dB
const LENGTH = 8.38846; // half of the filter times the width of its transition
const MOST_RINGING = 200; // samples at the lower rate
const MAX_PHASES = 4096; // from here on, taps are interpolated between phases

/** Samples that `count` at `rate` Hz become at `newRate`: rounded, at least 1. */
export function resampledLength(count, rate, newRate) {
  return Math.max(1, Math.floor((2 * count * newRate + rate) / (2 * rate)));
}

/**
 * @param {Float32Array} samples  at `rate` Hz
 * @param {number} rate
 * @param {number} newRate
 * @returns {Float32Array}
 */
export function resample(samples, rate, newRate) {
  if (rate === newRate) return samples;
  const low = Math.min(rate, newRate);
  const sharp = { pass: (PASS_BAND * low) / 2, stop: low / 2 };
  const gentle = { pass: low / 2, stop: Math.min(2 * low, Math.max(rate, newRate)) - low / 2 };
  const stages = rate > newRate ? [gentle, sharp] : [sharp, gentle];
  // zeros on both sides, for what rings there between the stages; a whole number at all rates
  const unit = rate / gcd(rate, newRate);
  const pad = unit * Math.ceil((MOST_RINGING * rate) / low / unit);
  const padded = new Float32Array(samples.length + 2 * pad);
  padded.set(samples, pad);
  const between = filtered(padded, rate, 2 * low, stages[0]);
  const start = (pad * newRate) / rate;
  const end = start + resampledLength(samples.length, rate, newRate);
  return filtered(between, 2 * low, newRate, stages[1]).slice(start, end);
}

/** One stage: samples at `rate` through a low-pass from `pass` to `stop` Hz, taken at `newRate`. */
function filtered(samples, rate, newRate, { pass, stop }) {
  if (rate === newRate) return samples;
  const divisor = gcd(rate, newRate);
  const [up, down] = [newRate / divisor, rate / divisor];
  const phases = Math.min(up, MAX_PHASES);
  const taps = polyphase((pass + stop) / rate, (2 * (stop - pass)) / rate, phases);
  const half = taps[0].length / 2; // taps before, and after, the middle
  const count = resampledLength(samples.length, rate, newRate);
  const result = new Float32Array(count);
  for (let n = 0; n < count; n++) {
    const whole = Math.floor((n * down) / up);
    const place = ((n * down - whole * up) / up) * phases;
    const phase = Math.floor(place + 1e-9);
    const first = whole - half + 1;
    const value = dot(taps[phase], samples, first);
    const part = up > phases ? place - phase : 0;
    result[n] = part ? value + part * (dot(taps[phase + 1], samples, first) - value) : value;
  }
  return result;
}

function dot(taps, samples, first) {
  const end = Math.min(taps.length, samples.length - first);
  let sum = 0;
  for (let k = Math.max(0, -first); k < end; k++) sum += taps[k] * samples[first + k];
  return sum;
}

/**
 * A low-pass's taps at each fraction p / phases of a sample, p from 0 to `phases`.
 *
 * @param {number} cutoff  in half input rates, as is `width`, of the transition
 */
function polyphase(cutoff, width, phases) {
  const reach = LENGTH / width;
  const half = Math.ceil(reach);
  const tap = (t) => {
    const inside = 1 - (t / reach) ** 2;
    if (inside <= 0) return 0;
    const sinc = t ? Math.sin(Math.PI * cutoff * t) / (Math.PI * t) : cutoff;
    return (sinc * bessel(BETA * Math.sqrt(inside))) / bessel(BETA);
  };
  return Array.from({ length: phases + 1 }, (_, p) =>
    Float64Array.from({ length: 2 * half }, (_, k) => tap(k - half + 1 - p / phases)),
  );
}

/** The modified Bessel function of order 0. */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-17 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}
