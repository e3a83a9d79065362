/**
 * The bytes ahead of the codes in a `.bsc` file (docs/bitstream.md).
 *
 * @typedef {object} Header
 * @property {number} numSamples  at `samplingRate`
 * @property {number} samplingRate  in Hz
 * @property {number} hopLength  samples a frame
 * @property {number[][]} bands  [low, high] in Hz of each
 * @property {number[]} codebookSizes  one a band
 * @property {string} model  its tag
 * @property {string} fingerprint  8 hex digits
 * @property {number} numChannels
 * @property {number} originalRate  in Hz before resampling; 0: not kept
 * @property {number} originalSamples
 */

import { concat, littleEndian, sameBytes } from "./bytes.js";
import { crc32 } from "./crc32.js";

const MODELS = [
  "bscodec-mini",
  "BSCodec_band_vq_5band",
  "BSCodec_band_simvq_3band",
  "BSCodec_band_simvq_2band",
];
const CLOCKS = [
  [24000, 320],
  [16000, 320],
  [44100, 512],
  [48000, 640],
];
const BLOCK_SECONDS = 10;
const MAX_BLOCK_CODES = 1 << 22; // of a channel
const MAX_RATE = 768000; // that a page would ever meet; keeps all sizes below within 2^53
const DAMAGED = "the header is damaged";

/** A file that is damaged, cut short or foreign; the message is one line. */
export class BitstreamError extends Error {}

class Damage extends Error {}
class CutShort extends Error {}

/** Bits of an index in each band. */
export const bitsOf = (header) => header.codebookSizes.map((size) => 32 - Math.clz32(size - 1));

/** Frames of codes. */
export const framesOf = (header) => Math.ceil(header.numSamples / header.hopLength);

/** Bits of code for every second of audio. */
export function bitrateOf(header) {
  return (frameBits(header) * header.samplingRate) / header.hopLength;
}

export function frameBits(header) {
  return header.numChannels * bitsOf(header).reduce((sum, bits) => sum + bits, 0);
}

export function framesPerBlock(header) {
  return Math.ceil((BLOCK_SECONDS * header.samplingRate) / header.hopLength);
}

export function packHeader(header) {
  const keepsRate = header.originalRate > 0;
  const version = header.numChannels === 1 && !keepsRate ? 1 : 2;
  const parts = [[0x42, 0x53, 0x43, version]];
  const model = MODELS.indexOf(header.model);
  const tag = new TextEncoder().encode(header.model);
  parts.push(model >= 0 ? [model + 1] : [0, tag.length, ...tag]);
  parts.push(header.fingerprint.match(/../g).map((pair) => parseInt(pair, 16)));
  const { samplingRate: rate, hopLength: hop } = header;
  const clock = CLOCKS.findIndex((known) => known[0] === rate && known[1] === hop);
  parts.push(clock >= 0 ? [clock + 1] : [0, ...varint(rate), ...varint(hop)]);
  parts.push(littleEndian(header.numSamples, 5));
  parts.push(packBands(header.bands), packSizes(header.codebookSizes));
  if (version === 2) {
    parts.push([header.numChannels], varint(header.originalRate));
    if (keepsRate) parts.push(littleEndian(header.originalSamples, 5));
  }
  const bytes = concat(parts);
  return concat([bytes, littleEndian(crc32(bytes), 4)]);
}

export function unpackHeader(data) {
  if (!data.length) throw new BitstreamError("the file is empty");
  if (!isBsc(data)) throw new BitstreamError("not a .bsc file");
  try {
    const cursor = new Cursor(data, 3);
    const version = cursor.byte();
    if (version !== 1 && version !== 2) {
      const line = `version ${version} of the .bsc format: this page reads 1 and 2`;
      throw new BitstreamError(line);
    }
    const header = unpackFields(cursor, version);
    cursor.take(4);
    // one header has one spelling, checksum included: anything else has been changed
    if (!sameBytes(packHeader(header), data.subarray(0, cursor.position))) throw new Damage();
    return { header, size: cursor.position };
  } catch (error) {
    if (error instanceof BitstreamError) throw error;
    const cut = error instanceof CutShort;
    throw new BitstreamError(cut ? "the file is cut short within its header" : DAMAGED);
  }
}

/** Whether the bytes begin as a `.bsc` file does. */
export function isBsc(data) {
  return data.length > 0 && [0x42, 0x53, 0x43].every((byte, at) => (data[at] ?? byte) === byte);
}

function unpackFields(cursor, version) {
  let index = cursor.byte();
  const tag = index ? null : cursor.take(cursor.byte());
  const model = tag ? new TextDecoder("utf-8", { fatal: true }).decode(tag) : known(MODELS, index);
  const hex = Array.from(cursor.take(4), (byte) => byte.toString(16).padStart(2, "0"));
  index = cursor.byte();
  const clock = index ? known(CLOCKS, index) : [cursor.varint(), cursor.varint()];
  const header = {
    numSamples: cursor.number(5),
    samplingRate: clock[0],
    hopLength: clock[1],
    bands: unpackBands(cursor),
    codebookSizes: [],
    model,
    fingerprint: hex.join(""),
    numChannels: 1,
    originalRate: 0,
    originalSamples: 0,
  };
  header.codebookSizes = unpackSizes(cursor, header.bands.length);
  if (version === 2) {
    header.numChannels = cursor.byte();
    header.originalRate = cursor.varint();
    if (header.originalRate) header.originalSamples = cursor.number(5);
  }
  checkFields(header);
  return header;
}

/** Refuse what no header that was ever written can say. */
function checkFields(header) {
  const { numSamples, samplingRate, hopLength, originalRate, originalSamples } = header;
  const between = (value, low, high) => value >= low && value <= high;
  const fine =
    between(samplingRate, 1, MAX_RATE) &&
    between(hopLength, 1, 2 ** 32 - 1) &&
    between(header.numChannels, 1, 255) &&
    between(originalRate, 0, MAX_RATE) &&
    header.bands.length > 0 &&
    header.bands.every(([low, high]) => low >= 0 && high > low && high < Infinity) &&
    header.codebookSizes.every((size) => between(size, 2, 2 ** 32)) &&
    framesPerBlock(header) * header.bands.length <= MAX_BLOCK_CODES;
  if (!fine) throw new Damage();
  if (originalRate && numSamples) {
    const off = originalSamples * samplingRate - numSamples * originalRate;
    const close = 2 * Math.abs(off) <= originalRate || (numSamples === 1 && off < 0);
    if (!close || !originalSamples) throw new Damage();
  }
}

function packBands(bands) {
  const edges = bands.map(([, high]) => high);
  const chained = chain(edges).every(([low, high], i) => bands[i][0] === low && bands[i][1] === high);
  if (chained && edges.every((edge) => Number.isInteger(edge) && edge < 2 ** 32)) {
    return [bands.length, ...edges.flatMap(varint)];
  }
  const view = new DataView(new ArrayBuffer(16 * bands.length));
  bands.flat().forEach((edge, i) => view.setFloat64(8 * i, edge, true));
  return [0x80 | bands.length, ...new Uint8Array(view.buffer)];
}

function unpackBands(cursor) {
  const first = cursor.byte();
  const count = first & 0x7f;
  const bands = Array.from({ length: count });
  if (!(first & 0x80)) return chain(bands.map(() => cursor.varint()));
  return bands.map(() => [cursor.float64(), cursor.float64()]);
}

/** Bands of these upper edges, each from the one below; an edge again is that band again. */
function chain(edges) {
  const bands = [];
  edges.forEach((high, i) => {
    const low = edges[i - 1] ?? 0;
    bands.push(i && low === high ? bands[i - 1] : [low, high]);
  });
  return bands;
}

function packSizes(sizes) {
  if (sizes.some((size) => size !== sizes[0])) return sizes.flatMap(packSize);
  const [first, ...rest] = packSize(sizes[0]);
  return [first | 0x80, ...rest];
}

function packSize(size) {
  const exponent = Math.round(Math.log2(size));
  return 2 ** exponent === size ? [exponent] : [0x40, ...varint(size)];
}

function unpackSizes(cursor, count) {
  const [alike, first] = unpackSize(cursor);
  const others = Array.from({ length: count - 1 });
  return [first, ...others.map(() => (alike ? first : unpackSize(cursor)[1]))];
}

function unpackSize(cursor) {
  const first = cursor.byte();
  const kind = first & 0x7f;
  if (kind === 0x40) return [first > 0x7f, cursor.varint()];
  if (kind > 32) throw new Damage();
  return [first > 0x7f, 2 ** kind];
}

function known(table, index) {
  if (index < 1 || index > table.length) throw new Damage();
  return table[index - 1];
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return [...bytes, value];
}

/** Reads a header's fields one after the other. */
class Cursor {
  constructor(data, position) {
    this.data = data;
    this.position = position;
  }

  take(count) {
    if (this.position + count > this.data.length) throw new CutShort();
    this.position += count;
    return this.data.subarray(this.position - count, this.position);
  }

  byte() {
    return this.take(1)[0];
  }

  number(size) {
    return this.take(size).reduceRight((sum, byte) => sum * 256 + byte, 0);
  }

  varint() {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new Damage();
  }

  float64() {
    const bytes = this.take(8);
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
  }
}
