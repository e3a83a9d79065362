/** The model, run step by step by onnxruntime: what is kept between steps makes them one signal. */

import * as ort from "onnxruntime-web/wasm";

const FRAMES = 60; // of a step: a second at 60 frames/s, so that progress shows

/**
 * @typedef {object} Facts  of model.json
 * @property {string} model
 * @property {string} fingerprint
 * @property {number} sampling_rate
 * @property {number} hop_length
 * @property {number[][]} bands
 * @property {number[]} codebook_sizes
 * @property {Record<string, number>} steps
 */

export class Codec {
  /** @param {Facts} facts */
  constructor(facts, encoder, decoder) {
    this.facts = facts;
    this.encoder = encoder;
    this.decoder = decoder;
  }

  /**
   * @param {Facts} facts
   * @param {Uint8Array} encoder  the bytes of encoder_step.onnx
   * @param {Uint8Array} decoder  those of decoder_step.onnx, with the audio of each band
   */
  static async create(facts, encoder, decoder) {
    ort.env.wasm.numThreads = 1; // more need headers that a static host may not send
    const options = { executionProviders: ["wasm"] };
    const sessions = [encoder, decoder].map((x) => ort.InferenceSession.create(x, options));
    const codec = new Codec(facts, ...(await Promise.all(sessions)));
    await codec.#warmUp();
    return codec;
  }

  /**
   * Samples at the model's rate to codes, a row of frames a band.
   *
   * @param {Float32Array} audio
   * @param {(done: number) => Promise<void>} progress  awaited after each step; 1: all is done
   * @returns {Promise<Uint32Array[]>}
   */
  async encode(audio, progress) {
    const { hop_length: hop, bands, steps } = this.facts;
    const frames = Math.ceil(audio.length / hop);
    const codes = bands.map(() => new Uint32Array(frames));
    const feed = (start, count) => {
      const samples = new Float32Array(count * hop);
      samples.set(audio.subarray(start * hop, (start + count) * hop));
      return { audio: new ort.Tensor("float32", samples, [1, count * hop]) };
    };
    const take = (output, from, at, count) => {
      const found = output.codes.data;
      const size = output.codes.dims[2];
      codes.forEach((row, band) => {
        for (let n = 0; n < count; n++) row[at + n] = Number(found[band * size + from + n]);
      });
    };
    const { encoder_delay: delay, encoder_state: state } = steps;
    await this.#run(this.encoder, { frames, delay, state, feed, take, progress });
    return codes;
  }

  /**
   * Codes to the audio of each of their bands; their sum is the decoded signal.
   *
   * @param {Uint32Array[]} codes  of the lowest bands, or all
   * @param {number} numSamples  of the signal
   * @param {(done: number) => Promise<void>} progress
   * @returns {Promise<Float32Array[]>}
   */
  async decode(codes, numSamples, progress) {
    const { hop_length: hop, bands, steps } = this.facts;
    const frames = codes[0].length;
    const audio = codes.map(() => new Float32Array(numSamples));
    const feed = (start, count) => {
      const values = new BigInt64Array(bands.length * count); // bands that are left out: any code
      codes.forEach((row, band) => {
        const there = Math.max(0, Math.min(count, frames - start));
        for (let n = 0; n < there; n++) values[band * count + n] = BigInt(row[start + n]);
      });
      return { codes: new ort.Tensor("int64", values, [1, bands.length, count]) };
    };
    const take = (output, from, at, count) => {
      const size = output.audio.dims[2];
      audio.forEach((samples, band) => {
        const length = Math.min(count * hop, numSamples - at * hop);
        const start = band * size + from * hop;
        samples.set(output.audio.data.subarray(start, start + length), at * hop);
      });
    };
    const { decoder_delay: delay, decoder_state: state } = steps;
    await this.#run(this.decoder, { frames, delay, state, feed, take, progress });
    return audio;
  }

  /** Code a second of silence: the browser then has its fastest machine code of what is run. */
  async #warmUp() {
    const length = FRAMES * this.facts.hop_length;
    const nothing = async () => {};
    await this.decode(await this.encode(new Float32Array(length), nothing), length, nothing);
  }

  /** Feed all frames, and as many of zeros as the output is late; take what comes of them. */
  async #run(session, { frames, delay, state, feed, take, progress }) {
    let kept = new ort.Tensor("float32", new Float32Array(state), [1, state]);
    const all = frames + delay;
    for (let position = 0; position < all; position += FRAMES) {
      const count = Math.min(FRAMES, all - position);
      const numbers = { position: scalar(position), end: scalar(frames) };
      const output = await session.run({ ...feed(position, count), state: kept, ...numbers });
      kept = output.next_state;
      const skipped = Math.max(0, delay - position); // what was before the signal
      if (count > skipped) take(output, skipped, position + skipped - delay, count - skipped);
      await progress(Math.min(1, (position + count) / all));
    }
  }
}

function scalar(value) {
  return new ort.Tensor("int64", BigInt64Array.of(BigInt(value)), []);
}
