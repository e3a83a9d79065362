/**
 * The codec off the page's own thread. One job at a time; a newer one ends the one before.
 *
 * Takes {id, wav} (bytes), {id, channels, rate} or {id, bsc} (bytes). Answers, with the id:
 * {progress, stage}, {coded}: what there is to show and play, or {error}: one line.
 */

import facts from "../model/model.json";
import encoderUrl from "../model/encoder_step.onnx?url";
import decoderUrl from "../model/decoder_step.onnx?url";
import { packBsc, unpackBsc } from "./bitstream.js";
import { Codec } from "./codec.js";
import { BitstreamError } from "./header.js";
import { AudioError, checkLength, prepare } from "./signal.js";
import { openWav, wavChannels, WavError } from "./wav.js";

let newest = 0;
class Superseded extends Error {}

const codec = load();
codec.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: `the model could not be loaded: ${error.message}` }),
);

onmessage = async ({ data: job }) => {
  newest = job.id;
  try {
    const coded = job.bsc ? await decodeOnly(job) : await encodeAndDecode(job);
    const lists = [coded.audio, coded.bsc, ...coded.codes, ...coded.bandAudio];
    const buffers = lists.filter(Boolean).map((list) => list.buffer);
    postMessage({ id: job.id, coded }, [...new Set(buffers)]);
  } catch (error) {
    if (error instanceof Superseded) return;
    const expected = [BitstreamError, AudioError, WavError].some((kind) => error instanceof kind);
    const line = error instanceof RangeError ? "there is not enough memory" : error.message;
    postMessage({ id: job.id, error: expected ? error.message : `could not be coded: ${line}` });
  }
};

async function load() {
  const [encoder, decoder] = await Promise.all([encoderUrl, decoderUrl].map(fetchBytes));
  return Codec.create(facts, encoder, decoder);
}

async function fetchBytes(url) {
  const response = await fetch(new URL(url, import.meta.url));
  if (!response.ok) throw new Error(`${response.status} for ${url}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function encodeAndDecode({ id, wav, channels, rate }) {
  if (wav) ({ channels, rate } = readWav(wav));
  checkLength(channels[0].length, rate);
  const prepared = prepare(channels, rate, facts.sampling_rate);
  const { audio, originalRate, originalSamples } = prepared;
  const model = await codec;
  const encoded = await timed(() => model.encode(audio, reporter(id, "Encoding")));
  const header = {
    numSamples: audio.length,
    samplingRate: facts.sampling_rate,
    hopLength: facts.hop_length,
    bands: facts.bands,
    codebookSizes: facts.codebook_sizes,
    model: facts.model,
    fingerprint: facts.fingerprint,
    numChannels: 1,
    originalRate,
    originalSamples,
  };
  const codes = encoded.value;
  const decoded = await timed(() => model.decode(codes, audio.length, reporter(id, "Decoding")));
  return {
    header,
    codes,
    bsc: packBsc(header, codes),
    audio,
    bandAudio: decoded.value,
    encodeSeconds: encoded.seconds,
    decodeSeconds: decoded.seconds,
  };
}

async function decodeOnly({ id, bsc }) {
  const { header, codes } = unpackBsc(bsc);
  checkModel(header);
  checkLength(header.numSamples, header.samplingRate);
  const model = await codec;
  const report = reporter(id, "Decoding");
  const decoded = await timed(() => model.decode(codes, header.numSamples, report));
  const bandAudio = decoded.value;
  return { header, codes, bsc, audio: null, bandAudio, encodeSeconds: 0, decodeSeconds: decoded.seconds };
}

/** Codes of other weights must not be played through these. */
function checkModel(header) {
  const { model, fingerprint, numChannels, bands } = header;
  if (model !== facts.model) {
    throw new BitstreamError(`made by the model ${model}: this page has ${facts.model} alone`);
  }
  const known = header.samplingRate === facts.sampling_rate && header.hopLength === facts.hop_length;
  const fits = bands.every(([low, high], band) => {
    const [ours, size] = [facts.bands[band], facts.codebook_sizes[band]];
    return ours && low === ours[0] && high === ours[1] && header.codebookSizes[band] === size;
  });
  if (fingerprint !== facts.fingerprint || !known || !fits) {
    throw new BitstreamError(`made by other weights of ${model} than this page has`);
  }
  if (numChannels > 1) {
    throw new BitstreamError(`${numChannels} channels: this page plays files of one`);
  }
}

function readWav(bytes) {
  const wav = openWav(bytes);
  checkLength(wav.numSamples, wav.rate);
  return { channels: wavChannels(wav), rate: wav.rate };
}

async function timed(work) {
  const start = performance.now();
  const value = await work();
  return { value, seconds: (performance.now() - start) / 1000 };
}

/** Tell how far a job is, and let newer ones come in. */
function reporter(id, stage) {
  return async (progress) => {
    postMessage({ id, stage, progress });
    await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    });
    if (id !== newest) throw new Superseded();
  };
}
